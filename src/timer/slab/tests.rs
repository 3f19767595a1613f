use super::*;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

/// Cells that went out, for one thread to have and to hand on.
struct Out(Vec<NonNull<Entry>>);

// SAFETY: cells belong to no thread.
unsafe impl Send for Out {}

impl Depot {
    fn slabs(&self) -> isize {
        self.slabs.load(Relaxed)
    }

    /// So many cells, from wherever they come; what came with the last of them goes back.
    fn take(&self, count: usize) -> Out {
        let mut out = Vec::new();
        let mut rest = Chain::new();
        while out.len() < count {
            let entry = rest.pop().unwrap_or_else(|| {
                let (entry, more) = self.fetch();
                rest = more;
                entry
            });
            // SAFETY: ours.
            unsafe { entry.as_ref() }.dress(out.len() as u64, entry.as_ptr().cast());
            out.push(entry);
        }
        // SAFETY: never out of our hands.
        unsafe { self.take_back(rest) };
        Out(out)
    }

    fn bring(&self, cells: impl IntoIterator<Item = NonNull<Entry>>) {
        let mut chain = Chain::new();
        for entry in cells {
            // SAFETY: ours.
            let cell = unsafe { entry.as_ref() };
            assert_eq!(cell.target(), entry.as_ptr().cast(), "written by another");
            // SAFETY: ours.
            unsafe { chain.push(entry) };
        }
        // SAFETY: ours, and in no queue.
        unsafe { self.take_back(chain) };
    }
}

fn slabs_of(cells: &[NonNull<Entry>]) -> BTreeSet<NonNull<Slab>> {
    cells.iter().map(|entry| slab_of(*entry)).collect()
}

#[test]
fn a_slab_is_full_of_cells() {
    let depot = Depot::new();
    let Out(cells) = depot.take(CELLS * 3);
    assert_eq!(cells.iter().collect::<BTreeSet<_>>().len(), CELLS * 3);
    assert_eq!((slabs_of(&cells).len(), depot.slabs()), (3, 3));
    depot.bring(cells);
    assert_eq!(depot.slabs(), 0);
}

#[test]
fn a_slab_goes_with_the_last_of_its_cells_and_not_before() {
    let depot = Depot::new();
    let Out(mut cells) = depot.take(CELLS * 8);
    // Of every slab but the last one cell survives.
    let survivors: Vec<_> = slabs_of(&cells)
        .into_iter()
        .skip(1)
        .map(|slab| *cells.iter().find(|e| slab_of(**e) == slab).unwrap())
        .collect();
    cells.retain(|entry| !survivors.contains(entry));
    // In an order that is nobody's.
    cells.sort_by_key(|entry| entry.addr().get().wrapping_mul(0x9E37_79B9_7F4A_7C15));
    depot.bring(cells);
    assert_eq!(depot.slabs(), 7);
    depot.bring(survivors.iter().copied().take(3));
    assert_eq!(depot.slabs(), 4);
    depot.bring(survivors.iter().copied().skip(3));
    assert_eq!(depot.slabs(), 0);
    assert!(depot.list.lock().0.is_none());
}

#[test]
fn what_is_at_home_goes_out_before_a_new_slab() {
    let depot = Depot::new();
    let Out(cells) = depot.take(CELLS * 4);
    let (stay, go): (Vec<_>, Vec<_>) = cells.into_iter().enumerate().partition(|(n, _)| n % 10 == 0);
    let (stay, go): (Vec<_>, Vec<_>) = (stay.into_iter().map(|c| c.1).collect(), go.into_iter().map(|c| c.1).collect());
    let went = go.len();
    depot.bring(go);
    assert_eq!(depot.slabs(), 4);
    let Out(again) = depot.take(went);
    assert_eq!(depot.slabs(), 4, "a slab was made while cells were at home");
    let Out(one) = depot.take(1);
    assert_eq!(depot.slabs(), 5);
    for cells in [stay, again, one] {
        depot.bring(cells);
    }
    assert_eq!(depot.slabs(), 0);
}

#[test]
fn cells_come_home_from_any_thread_and_all_at_once() {
    let depot = Depot::new();
    thread::scope(|scope| {
        for n in 0..4 {
            let depot = &depot;
            scope.spawn(move || {
                let mut kept = depot.take(100 + n).0;
                for round in 0..200 {
                    let more = depot.take(1 + (round * 7 + n) % 90);
                    // Another thread brings half of them.
                    let out = Out(kept.split_off(kept.len() / 2));
                    kept.extend(more.0);
                    scope.spawn(move || {
                        let out = out;
                        depot.bring(out.0);
                    });
                }
                depot.bring(kept);
            });
        }
    });
    // Who came while another had the lock may have left cells on the way.
    depot.bring([]);
    assert_eq!(depot.slabs(), 0);
}

#[test]
fn who_finds_the_depot_locked_does_not_wait() {
    let depot = Depot::new();
    let Out(cells) = depot.take(CELLS + 1);
    let busy = depot.list.lock();
    depot.bring(cells);
    assert_eq!(depot.slabs(), 2, "left on the way");
    let (entry, mut rest) = depot.fetch();
    assert_eq!(depot.slabs(), 3);
    drop(busy);
    // SAFETY: never out of our hands.
    unsafe { rest.push(entry) };
    // SAFETY: as above.
    unsafe { depot.take_back(rest) };
    assert_eq!(depot.slabs(), 0);
}

#[test]
fn slabs_of_a_list_that_a_fork_cut_short_are_left_alone() {
    let depot = Depot::new();
    let Out(mut cells) = depot.take(CELLS * 2 + CELLS / 2);
    let before = slabs_of(&cells);
    // One is listed, with its neighbours named in its head.
    depot.bring(cells.drain(..CELLS / 2));
    let lock = depot.list.lock();
    // The child's only thread finds it held.
    assert!(depot.after_fork());
    std::mem::forget(lock);
    // What is out serves on, and is forgotten when it comes home: no slab goes, and none is listed.
    depot.bring(cells);
    let slabs = depot.slabs();
    let Out(after) = depot.take(CELLS);
    assert!(slabs_of(&after).is_disjoint(&before));
    depot.bring(after);
    assert_eq!(depot.slabs(), slabs, "the new ones come and go");
}
