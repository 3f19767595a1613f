//! How many slots there are for how many entries: the chain grows with the peak, and shrinks after it.

use super::block::{Block, Size};
use super::*;
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;

#[repr(align(16))]
struct Nobody;

/// A stand-in for an entry: an address that is never looked behind.
fn entry(number: usize) -> Entry {
    let address = ptr::without_provenance_mut::<Nobody>((number + 1) * 16);
    Entry::new(Kind::Child, NonNull::new(address).unwrap())
}

fn enter(list: &SlotList, owner: &State, number: usize) -> Seat {
    let mut seat = None;
    assert_eq!(list.register(owner, entry(number), |place| seat = Some(place)).unwrap(), Seated::InTime);
    seat.unwrap()
}

fn leave(seat: Seat, number: usize) {
    // SAFETY: it sits there.
    let left = unsafe { seat.leave(entry(number)) };
    assert!(!left.closed && !left.orphan);
}

/// All slots of a list that nobody else uses.
fn slots(list: &SlotList) -> usize {
    fn chain(shard: &Shard) -> usize {
        let mut count = 0;
        let mut at = shard.first();
        while let Some(block) = at {
            // SAFETY: nobody else uses the list.
            count += unsafe { Block::slots(block) }.len();
            // SAFETY: as above.
            at = unsafe { Block::next(block) };
        }
        count
    }
    let desks = desks(list.table.load(Ordering::Relaxed)).map_or(0, |desks| {
        // SAFETY: in bounds; the table lives as long as the list.
        (0..sync::shard_count())
            .map(|index| unsafe { desk(desks, index) })
            .map(|d| d.slots.len() + chain(&d.shard))
            .sum()
    });
    INLINE + chain(&list.shard) + desks
}

fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

struct Hall {
    owner: State,
    list: SlotList,
    seated: Vec<(Seat, usize)>,
    next: usize,
    peak: usize,
    seed: u64,
}

impl Hall {
    fn new(seed: u64) -> Hall {
        Hall { owner: State::live(), list: SlotList::new(), seated: Vec::new(), next: 0, peak: 0, seed }
    }

    fn enter(&mut self) {
        self.seated.push((enter(&self.list, &self.owner, self.next), self.next));
        self.next += 1;
        self.peak = self.peak.max(self.seated.len());
    }

    fn leave_any(&mut self) {
        let at = random(&mut self.seed) % self.seated.len();
        let (seat, number) = self.seated.swap_remove(at);
        leave(seat, number);
    }

    fn assert_dense(&self, when: &str) {
        let slots = slots(&self.list);
        let most = self.peak + self.peak * 3 / 10 + 16 * Size::Large.slots();
        assert!(slots <= most, "{slots} slots for a peak of {} {when}", self.peak);
    }
}

impl Drop for Hall {
    fn drop(&mut self) {
        for (seat, number) in self.seated.drain(..) {
            leave(seat, number);
        }
        // SAFETY: everybody has left.
        unsafe { self.list.free() };
    }
}

#[test]
fn a_crowd_that_leaves_in_any_order_leaves_no_blocks() {
    let mut hall = Hall::new(5);
    for round in 0..3 {
        for _ in 0..30_000 {
            hall.enter();
        }
        while !hall.seated.is_empty() {
            hall.leave_any();
        }
        let left = slots(&hall.list);
        assert!(left <= 16 * Size::Large.slots(), "{left} slots for nobody in round {round}");
    }
}

#[test]
fn slots_stay_within_a_third_of_the_peak_whoever_leaves() {
    let mut hall = Hall::new(7);
    for _ in 0..100_000 {
        hall.enter();
    }
    hall.assert_dense("after a burst");
    for round in 0..20 {
        for _ in 0..10_000 {
            hall.leave_any();
        }
        for _ in 0..10_000 {
            hall.enter();
        }
        hall.assert_dense(&format!("in round {round}"));
    }
    for _ in 0..200_000 {
        hall.leave_any();
        hall.enter();
    }
    hall.assert_dense("after one by one");
}

#[test]
fn slots_that_are_free_in_clusters_are_found() {
    let mut hall = Hall::new(11);
    for _ in 0..60_000 {
        hall.enter();
    }
    // The older half leaves in order, and one late comer keeps pointing elsewhere.
    let old: Vec<_> = hall.seated.drain(..30_000).collect();
    for (seat, number) in old {
        leave(seat, number);
    }
    for _ in 0..30_000 {
        hall.leave_any();
        hall.enter();
        hall.enter();
    }
    hall.assert_dense("after clusters");
}

#[test]
fn blocks_are_given_back_after_a_burst() {
    let mut hall = Hall::new(13);
    for _ in 0..200_000 {
        hall.enter();
    }
    while hall.seated.len() > 1_000 {
        hall.leave_any();
    }
    let kept = slots(&hall.list);
    // Those who left one by one tidied as they went; what they could not see yet goes with the next few.
    for _ in 0..50_000 {
        hall.enter();
        hall.leave_any();
    }
    let then = slots(&hall.list);
    assert!(then <= 40_000, "{then} slots left of 200000 for a thousand entries ({kept} right after the burst)");
}

#[test]
fn threads_that_collide_get_desks() {
    let (owner, list) = (State::live(), SlotList::new());
    let numbers = AtomicUsize::new(0);
    let begin = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                begin.wait();
                for _ in 0..3_000 {
                    let seats: Vec<_> = (0..32)
                        .map(|_| numbers.fetch_add(1, Ordering::Relaxed))
                        .map(|number| (enter(&list, &owner, number), number))
                        .collect();
                    seats.into_iter().for_each(|(seat, number)| leave(seat, number));
                }
            });
        }
    });
    assert!(desks(list.table.load(Ordering::Relaxed)).is_some(), "a hundred entries at once, from four threads");
    // A thread that lost the processor while it held the rover makes the others push for a while: not for ever.
    assert!(slots(&list) < 20_000, "of 384,000 registrations");
    assert_eq!(list.orphan(), 0);
    // SAFETY: everybody has left.
    unsafe { list.free() };
}

#[test]
fn who_meets_another_at_a_desk_goes_to_the_next_for_good() {
    let (owner, list) = (State::live(), SlotList::new());
    let first = enter(&list, &owner, 0);
    (0..16).for_each(|_| list.collided());
    let desks = desks(list.table.load(Ordering::Relaxed)).expect("a crowd");
    let before = desk::own();
    // SAFETY: in bounds; the list outlives it.
    let slots = &unsafe { desk(desks, before) }.slots;
    // Somebody takes the slot after it was looked at.
    let mut another = Some(entry(1));
    let seat = list.sit(entry(2), |_| {
        if let Some(another) = another.take() {
            assert!(matches!(slots[0].take(another, || {}), Take::Taken));
        }
    });
    assert!(ptr::eq(seat.slot().as_ptr(), &slots[1]), "it sits where it was on its way to");
    let after = desk::own();
    assert_eq!(after, (before + 1) % sync::shard_count());
    let alone = enter(&list, &owner, 3);
    // SAFETY: as above.
    assert!(ptr::eq(alone.slot().as_ptr(), &unsafe { desk(desks, after) }.slots[0]));
    assert_eq!(desk::own(), after, "nobody was there");
    let all = [(first, 0), (Seat::beside(&slots[0]), 1), (seat, 2), (alone, 3)];
    all.into_iter().for_each(|(seat, number)| leave(seat, number));
    // SAFETY: everybody has left.
    unsafe { list.free() };
}

#[test]
fn who_sits_at_a_desk_behind_one_inline_slot_is_found() {
    let (owner, list) = (State::live(), SlotList::new());
    let first = enter(&list, &owner, 0);
    (0..16).for_each(|_| list.collided());
    let second = enter(&list, &owner, 1);
    let mut place = Position::start(&list);
    // SAFETY: nobody else can reach the list.
    let met = std::iter::from_fn(|| unsafe { place.close_next(&list) }).count();
    assert_eq!(met, 2);
    assert!(list.only().is_none(), "there are two");
    assert_eq!(list.orphan(), 2);
    for (number, seat) in [first, second].into_iter().enumerate() {
        // SAFETY: it sits there, and nobody waits for its count.
        let _ = unsafe { seat.leave(entry(number)) };
    }
    // SAFETY: everybody has left.
    unsafe { list.free() };
}

#[test]
fn who_comes_after_the_end_stands_up_unless_it_was_found() {
    use crate::cause::Cause;
    use crate::state::Ended;
    let (owner, list) = (State::live(), SlotList::new());
    let first = enter(&list, &owner, 0);
    let _ = owner.begin(Ended::own(Cause::from(crate::error::Error::Canceled)), || ());
    assert!(list.register(&owner, entry(1), |_| {}).is_err());
    let [_, second] = &list.inline;
    assert!(!second.is_occupied() && !second.is_virgin());
    // A canceler that comes by in between finds it.
    assert!(matches!(second.take(entry(1), || {}), Take::Taken));
    assert!(second.close().is_some_and(|met| met.first));
    assert_eq!(stand_up(Seat::beside(second), entry(1)).unwrap(), Seated::Late);
    assert!(second.is_occupied(), "the canceler goes on from there");
    leave(first, 0);
}
