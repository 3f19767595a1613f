//! At most so many at a time: blocking, refusing, taking turns, giving turns back.

use crate::support::{
    Crowd, Dropped, Fine, Pool, Wakes, block_on, eventually, give_way, group, poll, poll_with, scopeguard, text,
};
use ripcord::group::SpawnError;
use ripcord::{Context, Group};
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::thread::{self};
use std::time::Duration;

#[test]
fn the_limit_holds_for_threads_futures_and_callers_together() {
    const LIMIT: usize = 3;
    let (group, crowd) = (group().limit(LIMIT), Arc::new(Crowd::default()));
    let pool = Pool::new(2);
    for _ in 0..300 {
        let crowd = Arc::clone(&crowd);
        pool.spawn(group.task(async move {
            crowd.enter();
            give_way().await;
            crowd.leave();
            Fine::Ok(())
        }));
    }
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let inside = |_: &Context| {
                        crowd.enter();
                        thread::yield_now();
                        crowd.leave();
                        Fine::Ok(())
                    };
                    group.run(inside).unwrap();
                }
            });
        }
        for _ in 0..100 {
            let crowd = Arc::clone(&crowd);
            let inside = move |_: &Context| {
                crowd.enter();
                thread::yield_now();
                crowd.leave();
                Fine::Ok(())
            };
            group.spawn(inside).unwrap();
        }
    });
    group.wait().unwrap();
    pool.finish();
    assert_eq!(crowd.all.load(SeqCst), 300 + 400 + 100);
    assert!((1..=LIMIT).contains(&crowd.most.load(SeqCst)), "{} at once", crowd.most.load(SeqCst));
}

#[test]
fn as_many_as_the_limit_do_run_at_once() {
    let (group, all_in) = (group().limit(4), Arc::new(Barrier::new(4)));
    for _ in 0..8 {
        let all_in = Arc::clone(&all_in);
        let meets = move |_: &Context| {
            all_in.wait();
            Fine::Ok(())
        };
        group.spawn(meets).unwrap();
    }
    group.wait().unwrap();
}

#[test]
fn turns_come_in_the_order_in_which_they_were_asked_for() {
    let (group, wakes) = (group().limit(1), [(); 3].map(|()| Arc::new(Wakes::default())));
    let mut running = Box::pin(group.task(pending::<Fine>()));
    let _ = poll(running.as_mut());
    let mut queued = [(); 3].map(|()| Box::pin(group.task(async { Fine::Ok(()) })));
    for (task, wakes) in queued.iter_mut().zip(&wakes) {
        assert!(poll_with(task.as_mut(), wakes).is_pending());
    }
    drop(running);
    for turn in 0..3 {
        let woken: Vec<_> = wakes.iter().map(|wakes| wakes.0.load(SeqCst)).collect();
        assert_eq!(woken, (0..3).map(|i| usize::from(i <= turn)).collect::<Vec<_>>(), "one wake each, in turn");
        if let Some(next) = queued.get_mut(turn + 1) {
            assert!(poll_with(next.as_mut(), &wakes[turn + 1]).is_pending(), "a poll out of turn jumps no queue");
        }
        assert!(poll_with(queued[turn].as_mut(), &wakes[turn]).is_ready());
    }
    group.wait().unwrap();
}

#[test]
fn a_dropped_task_gives_its_turn_back_wherever_it_stands() {
    let group = group().limit(1);
    let task = || Box::pin(group.task(pending::<Fine>()));
    let free = || group.try_spawn(|_ctx| Fine::Ok(()));
    // Running, waiting, called but not polled since, never polled.
    let (mut runs, mut waits, mut called, fresh) = (task(), task(), task(), task());
    for task in [&mut runs, &mut waits, &mut called] {
        assert!(poll(task.as_mut()).is_pending());
    }
    assert!(matches!(free(), Err(SpawnError::Full)));
    drop(waits);
    assert!(matches!(free(), Err(SpawnError::Full)), "who waited held nothing");
    drop(runs);
    assert!(matches!(free(), Err(SpawnError::Full)), "the turn was given on");
    drop(called);
    drop(fresh);
    free().unwrap();
    group.wait().unwrap();
}

#[test]
fn no_permit_is_lost_when_tasks_are_dropped_at_any_moment() {
    const LIMIT: usize = 3;
    let (group, crowd) = (group().limit(LIMIT), Arc::new(Crowd::default()));
    thread::scope(|scope| {
        for seed in 0..4_usize {
            let (group, crowd) = (&group, &crowd);
            scope.spawn(move || {
                for round in 0..400_usize {
                    let member = async {
                        crowd.enter();
                        let _left = scopeguard(|| crowd.leave());
                        give_way().await;
                        Fine::Ok(())
                    };
                    let mut task = Box::pin(group.task(member));
                    let polls = (seed * 7 + round * 13) % 4;
                    if polls == 3 {
                        block_on(task).unwrap();
                        continue;
                    }
                    for _ in 0..polls {
                        if poll(task.as_mut()).is_ready() {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert!(crowd.most.load(SeqCst) <= LIMIT);
    let all_in = Arc::new(Barrier::new(LIMIT));
    for _ in 0..LIMIT {
        let all_in = Arc::clone(&all_in);
        let meets = move |_: &Context| {
            all_in.wait();
            Fine::Ok(())
        };
        group.try_spawn(meets).expect("every permit came back");
    }
    group.wait().unwrap();
}

#[test]
fn a_raised_limit_lets_those_in_who_wait() {
    let (group, wakes) = (group().limit(1), Arc::new(Wakes::default()));
    let mut tasks = [(); 4].map(|()| Box::pin(group.task(pending::<Fine>())));
    tasks.iter_mut().for_each(|task| assert!(poll_with(task.as_mut(), &wakes).is_pending()));
    let group = group.limit(3);
    assert_eq!(wakes.0.load(SeqCst), 2);
    let group = group.limit(1);
    drop(tasks);
    assert!(group.run(|_ctx| Fine::Ok(())).is_ok());
    group.wait().unwrap();
}

#[test]
#[should_panic(expected = "could never run anything")]
fn a_limit_of_zero_panics() {
    let _ = group().limit(0);
}

#[test]
fn spawn_blocks_while_the_limit_is_reached() {
    let group = group().limit(1);
    let (tell, told) = mpsc::channel::<()>();
    let left = Arc::new(AtomicBool::new(false));
    let leaves = Arc::clone(&left);
    let first = move |_: &Context| {
        let _ = told.recv();
        leaves.store(true, SeqCst);
        Fine::Ok(())
    };
    group.spawn(first).unwrap();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        drop(tell);
    });
    group.spawn(move |_ctx| if left.load(SeqCst) { Ok(()) } else { Err("started too early") }).unwrap();
    group.wait().unwrap();
}

#[test]
fn whoever_blocks_for_a_turn_gives_up_when_the_group_ends() {
    let (parent, handle) = Context::background().with_cancel();
    let group = Group::new(&parent).limit(1);
    group
        .spawn(|ctx| {
            ctx.wait();
            Fine::Ok(())
        })
        .unwrap();
    let ran = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        let run = |_: &Context| -> Fine {
            ran.store(true, SeqCst);
            Ok(())
        };
        let (group, never) = (&group, Arc::clone(&ran));
        let spawns = scope.spawn(move || {
            group.spawn(move |_ctx| {
                never.store(true, SeqCst);
                Fine::Ok(())
            })
        });
        let runs = scope.spawn(move || group.run(run));
        let waits = scope.spawn(|| block_on(group.task(async { Fine::Ok(()) })));
        eventually("three wait", || format!("{group:?}").contains("members: 4"));
        handle.cancel_cause("shutting down");
        match spawns.join().unwrap() {
            Err(SpawnError::Ended(cause)) => assert_eq!(cause.to_string(), "shutting down"),
            other => panic!("{other:?}"),
        }
        assert_eq!(text(runs.join().unwrap()), "shutting down");
        assert_eq!(text(waits.join().unwrap()), "shutting down");
    });
    assert_eq!(text(group.wait()), "shutting down", "work asked for and not done does not look done");
    assert!(!ran.load(SeqCst));
}

#[test]
fn try_spawn_does_not_block() {
    let group = group().limit(1);
    let (tell, told) = mpsc::channel::<()>();
    let first = move |_: &Context| {
        let _ = told.recv();
        Fine::Ok(())
    };
    group.try_spawn(first).unwrap();
    let dropped = Arc::new(AtomicUsize::new(0));
    let guard = Dropped(Arc::clone(&dropped));
    let second = move |_: &Context| {
        drop(guard);
        Fine::Ok(())
    };
    assert!(matches!(group.try_spawn(second), Err(SpawnError::Full)));
    assert_eq!(dropped.load(SeqCst), 1);
    drop(tell);
    group.wait().expect("a refusal for want of room is no member's error");
}
