//! The engine with its thread.

use super::*;

#[test]
fn shards_keep_threads_apart() {
    let count = engine().shards.len();
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!(count.is_power_of_two() && (4..=64).contains(&count) && count >= (2 * cores).min(64));
}

#[test]
fn cells_are_small_and_leave_room_for_flags() {
    assert!(size_of::<Cell<Probe>>() <= 48);
    assert!(align_of::<Cell<Probe>>() >= 8);
}

#[test]
fn fires_and_never_early() {
    let timers = engine();
    let start = Instant::now();
    let handles: Vec<_> = (0..200).map(|i| Handle::armed(timers, after(i % 40))).collect();
    for (i, handle) in handles.iter().enumerate() {
        handle.wait();
        assert!(start.elapsed() >= Duration::from_millis(i as u64 % 40));
        handle.check();
    }
}

#[test]
fn pushed_back_fires_at_the_later_time() {
    let timers = engine();
    let handle = Handle::armed(timers, after(5));
    let later = after(40);
    handle.push_back(later);
    handle.wait();
    assert!(handle.probe().ended.load(Ordering::Relaxed) >= later);
}

#[test]
fn earlier_wakes_a_driver_that_sleeps_long() {
    let timers = engine();
    let far = Handle::armed(timers, after(3_600_000));
    std::thread::sleep(Duration::from_millis(5));
    let near = Handle::armed(timers, after(10));
    near.wait();
    assert!(!far.ended());
}

#[test]
fn released_cells_do_not_pile_up() {
    let timers = engine();
    for i in 0..1_000_000_u64 {
        let handle = Handle::armed(timers, after(1_000 + i % 60_000));
        assert_eq!(handle.disarm(), Some(Disarm::Released));
        if i % 100_000 == 0 {
            assert!(timers.census().0 <= 1_024, "{:?}", timers.census());
        }
    }
    assert!(timers.census().0 <= 1_024, "{:?}", timers.census());
}

#[test]
fn dead_cells_in_the_heap_do_not_pile_up() {
    let timers = manual();
    let mut window = std::collections::VecDeque::new();
    for i in 0..300_000_u64 {
        window.push_back(Handle::armed(timers, clock::now() + (1 << 42) + i));
        // Each lives long enough to reach the heap.
        if window.len() > 5_000 {
            window.pop_front();
        }
    }
    let (all, live) = timers.census();
    assert_eq!(live, 5_000);
    assert!(all <= 4 * live, "{all} queued for {live} live");
}

#[test]
fn what_a_burst_left_in_the_heap_is_cleared_and_then_nobody_wakes_up() {
    let timers = engine();
    let live = Handle::armed(timers, after(3_600_000));
    let burst: Vec<_> = (0..100_000).map(|i| Handle::armed(timers, after(3_600_000 + i))).collect();
    drop(burst);
    let patience = Instant::now() + Duration::from_secs(60);
    while timers.census() != (1, 1) {
        assert!(Instant::now() < patience, "{:?} a minute after the burst", timers.census());
        std::thread::sleep(Duration::from_millis(20));
    }
    // The last round may still have to be looked through.
    comes_to_rest(timers);
    live.check();
}

#[test]
fn storm() {
    let timers = engine();
    std::thread::scope(|scope| {
        for seed in 1..=6_u64 {
            scope.spawn(move || {
                let mut random = Random(seed);
                let mut held: Vec<Handle> = Vec::new();
                for _ in 0..20_000 {
                    match random.below(8) {
                        0..=2 => held.push(Handle::armed(timers, clock::now() + random.below(4_000_000))),
                        3 if !held.is_empty() => {
                            drop(held.swap_remove(random.below(held.len() as u64) as usize));
                        }
                        4 if !held.is_empty() => {
                            let handle = &held[random.below(held.len() as u64) as usize];
                            if handle.disarm() == Some(Disarm::Released) && !handle.ended() {
                                handle.arm(clock::now() + random.below(1_000_000));
                            }
                        }
                        5 if !held.is_empty() => {
                            held[random.below(held.len() as u64) as usize].push_back(after(3));
                        }
                        _ if held.len() > 64 => held.truncate(16),
                        _ => {}
                    }
                }
                for handle in &held {
                    if !handle.probe().cell.load(Ordering::Relaxed).is_null() {
                        handle.wait();
                    }
                }
            });
        }
    });
    assert_eq!(timers.census().1, 0);
}

#[test]
fn a_panic_while_telling_does_not_stop_the_driver() {
    let timers = engine();
    for _ in 0..3 {
        let bomb = Handle::with(timers, None, true, false);
        bomb.arm(after(1));
        bomb.wait();
    }
    Handle::armed(timers, after(1)).wait();
}

#[test]
fn the_seat_comes_back_from_the_stand_in_and_stays_where_there_is_none() {
    fn bomb(timers: &'static Timers<Probe>) {
        let bomb = Handle::with(timers, None, true, false);
        bomb.arm(after(1));
        bomb.wait();
    }
    let timers = engine();
    Handle::armed(timers, after(1)).wait();
    let seated = timers.driver.runner().unwrap();
    timers.driver.refuse.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        bomb(timers);
        Handle::armed(timers, after(1)).wait();
        assert!(timers.driver.is(seated));
    }
    timers.driver.refuse.store(false, Ordering::Relaxed);
    for _ in 0..100 {
        bomb(timers);
        Handle::armed(timers, after(0)).wait();
    }
    let mut looks = 0;
    while !timers.driver.is(seated) {
        std::thread::sleep(Duration::from_millis(1));
        looks += 1;
        assert!(looks < 60_000, "the stand-in sits there still");
    }
    assert_eq!(seated.thread.name(), Some("ripcord-timer"));
}

#[test]
fn a_target_that_panics_costs_nobody_else_a_deadline() {
    let timers = engine();
    let at = after(20);
    let mut all = Vec::new();
    for i in 0..200 {
        let handle = Handle::with(timers, None, false, i % 10 == 3);
        handle.arm(at);
        all.push(handle);
    }
    for (i, handle) in all.iter().enumerate() {
        if i % 10 != 3 {
            handle.wait();
        }
    }
}

#[test]
fn nothing_armed_nothing_wakes() {
    let timers = engine();
    drop(Handle::armed(timers, after(3_600_000)));
    let fired = Handle::armed(timers, after(2));
    fired.wait();
    // The burst leaves dead cells behind; the driver clears them away in its own time, and then sleeps.
    for _ in 0..5_000 {
        drop(Handle::armed(timers, after(3_600_000)));
    }
    while timers.census().0 >= 64 {
        std::thread::sleep(Duration::from_millis(20));
    }
    // What is left of the deadlines' wake-ups is in the past: an empty pass has published NEVER, or nothing armed.
    comes_to_rest(timers);
}

#[test]
fn what_lingers_in_the_epoch_goes_while_the_driver_tidies() {
    static FREED: AtomicUsize = AtomicUsize::new(0);
    let retire = || {
        for _ in 0..100_000 {
            let free = |_: *mut ()| {
                FREED.fetch_add(1, Ordering::Relaxed);
            };
            // SAFETY: nothing is there to be looked at, and nothing is freed.
            unsafe { pin().retire(std::ptr::null_mut(), free) };
        }
    };
    let pinned = pin();
    std::thread::spawn(retire).join().expect("it retires, hands over what it has left, and ends");
    drop(pinned);
    // So many are counted, and the driver is told to tidy.
    let timers = engine();
    for _ in 0..128 {
        drop(Handle::armed(timers, after(3_600_000)));
    }
    while FREED.load(Ordering::Relaxed) < 100_000 {
        std::thread::sleep(Duration::from_millis(20));
    }
    comes_to_rest(timers);
}

/// Returns when the driver has not woken up for longer than it waits before it tidies.
fn comes_to_rest(timers: &Timers<Probe>) {
    let patience = Instant::now() + Duration::from_secs(60);
    let mut before = timers.wakeups();
    loop {
        std::thread::sleep(Duration::from_millis(1_500));
        let now = timers.wakeups();
        if now == before {
            break;
        }
        assert!(Instant::now() < patience, "{} wake-ups, for nothing", now - before);
        before = now;
    }
}

#[test]
fn an_engine_that_cannot_start_its_thread_is_driven_by_who_waits() {
    let timers = engine();
    timers.driver.refuse.store(true, Ordering::Relaxed);
    let handle = Handle::armed(timers, after(5));
    while !handle.ended() {
        let next = timers.help(clock::now());
        assert!(next <= handle.probe().deadline.load(Ordering::Relaxed) || handle.ended());
        std::thread::sleep(Duration::from_millis(1));
    }
    let waiting = Handle::armed(timers, after(120));
    assert!(!timers.driver.runs());
    assert_eq!(timers.next_wake.load(Ordering::SeqCst), NEVER, "every arm asks for a thread, however late it is due");
    // Threads can be had again: a later arm starts one, and it finds what was armed before.
    timers.driver.refuse.store(false, Ordering::Relaxed);
    while !timers.driver.runs() {
        std::thread::sleep(Duration::from_millis(10));
        drop(Handle::armed(timers, after(3_600_000)));
    }
    waiting.wait();
    assert_eq!(timers.help(clock::now()), NEVER);
}

/// Runs `child` in a forked child, which never gets as far as `exec`; true if it says so.
#[cfg(unix)]
fn in_a_child(child: impl Fn() -> bool + Send + Sync + 'static) -> bool {
    use std::os::unix::process::CommandExt;
    const YES: i32 = 33;
    let mut command = std::process::Command::new("true");
    let answer = move || Err(std::io::Error::from_raw_os_error(YES + i32::from(!child())));
    // SAFETY: what the child does after the fork is what the test is about.
    unsafe { command.pre_exec(answer) };
    command.spawn().is_err_and(|error| error.raw_os_error() == Some(YES))
}

#[cfg(unix)]
fn ends_soon(handle: &Handle) -> bool {
    (0..20_000).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        handle.ended()
    })
}

#[cfg(unix)]
#[test]
fn deadlines_of_the_parent_fire_in_a_forked_child() {
    let timers = engine();
    let before = Handle::armed(timers, after(200));
    std::thread::sleep(Duration::from_millis(50));
    assert!(in_a_child(move || {
        timers.after_fork_child();
        ends_soon(&before)
    }));
}

#[cfg(unix)]
#[test]
fn a_forked_child_that_says_nothing_is_found_out_by_the_next_earlier_deadline() {
    let timers = engine();
    let before = Handle::armed(timers, after(1_000));
    std::thread::sleep(Duration::from_millis(50));
    assert!(in_a_child(move || {
        let sooner = Handle::armed(timers, after(1));
        ends_soon(&sooner) && ends_soon(&before)
    }));
}

/// The state a forked child finds itself in: no thread, though the words say there is one.
#[test]
fn a_forked_child_gets_a_new_driver() {
    let timers = engine();
    let before = Handle::armed(timers, after(30));
    while !timers.driver.runs() {
        std::thread::yield_now();
    }
    timers.forked(None);
    timers.after_fork_child();
    before.wait();
    Handle::armed(timers, after(1)).wait();
}
