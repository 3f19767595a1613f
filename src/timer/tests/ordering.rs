//! What comes out comes out in order: the heap by itself, and the engine turned by hand.

use super::super::heap::{Heap, Untidy};
use super::*;

fn cells(count: usize) -> Vec<NonNull<Entry>> {
    (0..count)
        .map(|_| {
            let (entry, rest) = slab::fetch();
            // SAFETY: just fetched.
            unsafe { slab::take_back(rest) };
            entry
        })
        .collect()
}

fn free(cells: Vec<NonNull<Entry>>) {
    let mut chain = Chain::new();
    for cell in cells {
        // SAFETY: made by `cells`, in no list.
        unsafe { chain.push(cell) };
    }
    // SAFETY: as above.
    unsafe { slab::take_back(chain) };
}

#[test]
fn heap_is_a_sorted_list() {
    for seed in 1..=40_u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let pool = cells(64);
        let (mut heap, mut list) = (Heap::new(), Vec::new());
        for step in 0..3_000 {
            // Grows and shrinks in waves.
            if random.below(100) < if step / 500 % 2 == 0 { 60 } else { 35 } {
                let item = (random.below(50) * 1_000 + random.below(3), pool[random.below(64) as usize]);
                heap.push(item);
                list.push(item);
            } else if random.below(4) == 0 {
                let victim = pool[random.below(64) as usize];
                // One round may miss what removals move behind its back; a second finds it.
                while list.iter().any(|item| item.1 == victim) && heap.iter().any(|item| item.1 == victim) {
                    heap.sweep(usize::MAX, |cell| cell == victim);
                }
                list.retain(|item| item.1 != victim);
            } else {
                list.sort_unstable_by_key(|item| std::cmp::Reverse(item.0));
                let (popped, expected) = (heap.pop(), list.pop());
                assert_eq!(popped.map(|item| item.0), expected.map(|item| item.0), "seed {seed}");
                // Equal keys come in any order: keep the lists the same.
                if let (Some(popped), Some(expected)) = (popped, expected) {
                    if popped != expected {
                        let twin = list.iter().position(|item| *item == popped).expect("it was in the list");
                        list[twin] = expected;
                    }
                }
            }
            assert_eq!(heap.len(), list.len());
            assert_eq!(heap.peek().map(|item| item.0), list.iter().map(|item| item.0).min());
        }
        free(pool);
    }
}

#[test]
fn a_sweep_finds_the_dead_and_keeps_the_order() {
    let pool = cells(1_000);
    let mut random = Random(7);
    let mut heap = Heap::new();
    for cell in &pool {
        heap.push((random.below(10_000), *cell));
    }
    let dead: std::collections::HashSet<_> = pool.iter().step_by(3).copied().collect();
    for _ in 0..20 {
        heap.sweep(100, |cell| dead.contains(&cell));
    }
    assert_eq!(heap.len(), pool.len() - dead.len());
    let mut last = 0;
    while let Some((key, cell)) = heap.pop() {
        assert!(key >= last && !dead.contains(&cell));
        last = key;
    }
    free(pool);
}

#[test]
fn tidying_goes_on_while_many_are_dead_and_then_to_the_end_of_the_round() {
    let pool = cells(10_000);
    let mut heap = Heap::new();
    (0..).zip(&pool).for_each(|(key, cell)| heap.push((key, *cell)));
    let mut tidy = |changed, dead: &dyn Fn(NonNull<Entry>) -> bool| {
        heap.tidy(changed, 1_000, dead);
        heap.untidy()
    };
    // Nothing has changed: one look is enough.
    assert_eq!(tidy(false, &|_| false), Untidy::No);
    // All are alive, and all are looked at.
    let mut slices = 0;
    while tidy(slices == 0, &|_| false) != Untidy::No {
        slices += 1;
    }
    assert_eq!(slices, 9);
    // Nine of ten have died since.
    let dead: std::collections::HashSet<_> =
        pool.iter().enumerate().filter(|(n, _)| n % 10 > 0).map(|at| *at.1).collect();
    let mut seen = Vec::new();
    loop {
        seen.push(tidy(seen.is_empty(), &|cell| dead.contains(&cell)));
        if seen.last() == Some(&Untidy::No) {
            break;
        }
    }
    assert_eq!(heap.len(), 1_000);
    assert!(seen.len() < 20 && seen.is_sorted_by(|before, after| before >= after), "{seen:?}");
    free(pool);
}

/// Random arms, pushes back, disarms and turns, compared with a list.
#[test]
fn a_turn_fires_exactly_what_is_due() {
    for seed in 1..=20_u64 {
        let mut random = Random(seed);
        let timers = manual();
        // In the past, so that the probes may compare with the real clock.
        let mut now = clock::now() - 3_600_000_000_000;
        let mut live: Vec<Handle> = Vec::new();
        for _ in 0..4_000 {
            match random.below(10) {
                0..=4 => live.push(Handle::armed(timers, now + 1 + random.below(10_000))),
                5..=6 if !live.is_empty() => drop(live.swap_remove(random.below(live.len() as u64) as usize)),
                7 if !live.is_empty() => {
                    let handle = &live[random.below(live.len() as u64) as usize];
                    handle.push_back(handle.probe().deadline.load(Ordering::Relaxed) + random.below(5_000));
                }
                8 if !live.is_empty() => {
                    live[random.below(live.len() as u64) as usize].arm(now + 1 + random.below(2_000));
                }
                _ => {
                    now += random.below(3_000);
                    let next = timers.turn(now);
                    live.retain(|handle| {
                        let due = handle.probe().deadline.load(Ordering::Relaxed) <= now;
                        assert_eq!(handle.ended(), due, "seed {seed}");
                        assert!(due || next <= handle.probe().deadline.load(Ordering::Relaxed), "sleeps too long");
                        !due
                    });
                }
            }
        }
        assert_eq!(timers.census().1, live.len());
        drop(live);
        timers.turn(NEVER - 1);
        assert_eq!(timers.census(), (0, 0));
        assert_eq!(timers.turn(NEVER - 1), NEVER);
    }
}

#[test]
fn due_together_fire_in_the_order_of_their_keys() {
    let log: &'static StdMutex<Vec<u64>> = Box::leak(Box::default());
    let timers = manual();
    let base = clock::now() - 3_600_000_000_000;
    let mut random = Random(99);
    // From many threads, so that the cells lie in all shards.
    let handles: Vec<Vec<Handle>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let seed = random.below(1 << 30) + 1;
                scope.spawn(move || {
                    let mut random = Random(seed);
                    let arm = |_| {
                        let handle = Handle::with(timers, Some(log), false, false);
                        handle.arm(base + random.below(1 << 20));
                        handle
                    };
                    (0..1_000).map(arm).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    timers.turn(base + (1 << 20));
    let log = log.lock().unwrap();
    assert_eq!(log.len(), 8_000);
    assert!(log.is_sorted());
    drop(handles);
}
