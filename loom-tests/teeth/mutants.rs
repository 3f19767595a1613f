//! The list: what is broken, and which model must fail. Each `old` occurs exactly once in its file.

/// One way to break the source.
pub(crate) struct Mutant {
    pub(crate) file: &'static str,
    pub(crate) old: &'static str,
    pub(crate) new: &'static str,
    /// The test that must fail.
    pub(crate) model: &'static str,
    /// What is broken, and of which edge of `docs/ORDERINGS.md`.
    pub(crate) why: &'static str,
    /// Tried when nobody asks for all.
    pub(crate) sample: bool,
}

macro_rules! mutants {
    ($($(#$sample:tt)? $model:literal, $why:literal, $file:literal: $old:literal => $new:literal;)+) => {
        pub(crate) const MUTANTS: &[Mutant] = &[$(Mutant {
            file: $file,
            old: $old,
            new: $new,
            model: $model,
            why: $why,
            sample: !stringify!($($sample)?).is_empty(),
        }),+];
    };
}

// `#*` marks the sample.
mutants! {
    // seat, closed, vacate: the slot.
    #* "m01_register::child_at_the_gate", "closed: closing looks, but does not tag", "src/slots/slot.rs":
        "let before = self.0.set_bits(CLOSED, Ordering::AcqRel);" => "let before = self.0.load(Ordering::Acquire);";
    "m01_register::child_at_the_gate", "closed: a closed slot is taken for a busy one", "src/slots/slot.rs":
        "if addr_bits(seen, CLOSED) == 0 {" => "if addr_bits(seen, CLOSED) <= CLOSED {";
    "m09_born_ended::a_child_born_ended_shows_what_was_before", "closed: closing does not release", "src/slots/slot.rs":
        "let before = self.0.set_bits(CLOSED, Ordering::AcqRel);" =>
        "let before = self.0.set_bits(CLOSED, Ordering::Acquire);";
    "m09_born_ended::a_child_born_ended_shows_what_was_before", "closed: a failed take does not acquire",
        "src/slots/slot.rs":
        "match self.0.compare_exchange(seen, entry.0.as_ptr(), Ordering::AcqRel, Ordering::Acquire) {" =>
        "match self.0.compare_exchange(seen, entry.0.as_ptr(), Ordering::AcqRel, Ordering::Relaxed) {";
    #* "m01_register::child_at_the_gate", "seat: taking does not release", "src/slots/slot.rs":
        "match self.0.compare_exchange(seen, entry.0.as_ptr(), Ordering::AcqRel, Ordering::Acquire) {" =>
        "match self.0.compare_exchange(seen, entry.0.as_ptr(), Ordering::Acquire, Ordering::Acquire) {";
    "m01_register::child_at_the_gate", "seat: closing does not acquire", "src/slots/slot.rs":
        "let before = self.0.set_bits(CLOSED, Ordering::AcqRel);" =>
        "let before = { let seen = self.0.load(Ordering::Relaxed); if addr_bits(seen, CLOSED) != 0 { seen } else \
         { self.0.swap(seen.map_addr(|a| a | CLOSED), Ordering::Release) } };";
    #* "m06_reuse::one_leaves_two_come", "seat: taken without a look at who sits there", "src/slots/slot.rs":
        "match self.0.compare_exchange(seen, entry.0.as_ptr(), Ordering::AcqRel, Ordering::Acquire) {" =>
        "match Ok::<_, *mut ()>(self.0.swap(entry.0.as_ptr(), Ordering::AcqRel)) {";
    "m07_comings_and_goings::register_leave_cancel", "seat: taken without a look at the tag", "src/slots/slot.rs":
        "match self.0.compare_exchange(seen, entry.0.as_ptr(), Ordering::AcqRel, Ordering::Acquire) {" =>
        "match Ok::<_, *mut ()>(self.0.swap(entry.0.as_ptr(), Ordering::AcqRel)) {";
    "m04_orphan::parent_and_child", "vacate: leaving does not release", "src/slots/slot.rs":
        "vacated, Ordering::Release, Ordering::Relaxed)" => "vacated, Ordering::Relaxed, Ordering::Relaxed)";
    "m04_orphan::ended_parent_and_child", "vacate: leaving a closed slot does not release", "src/slots/slot.rs":
        "match self.0.compare_exchange_weak(seen, after, Ordering::AcqRel, Ordering::Relaxed) {" =>
        "match self.0.compare_exchange_weak(seen, after, Ordering::Acquire, Ordering::Relaxed) {";
    "m04_orphan::parent_and_child", "vacate: the last handle does not acquire", "src/slots/slot.rs":
        "let mut seen = self.0.load(Ordering::Acquire);\n        while" =>
        "let mut seen = self.0.load(Ordering::Relaxed);\n        while";
    #* "m03_leave::child_leaves", "closed: who leaves a closed slot frees at once", "src/slots/slot.rs":
        "return Left { closed: addr_bits(seen, CLOSED) != 0," => "return Left { closed: false,";
    #* "m02_two_cancels::the_gate_is_left_between_two_cancels", "closed: a closed gate looks virgin when it is left",
        "src/slots/slot.rs":
        "let after = vacated.map_addr(|a| a | addr_bits(seen, TAGS));" =>
        "let after = ptr::null_mut::<()>().map_addr(|a| a | addr_bits(seen, TAGS));";
    "m03_leave::child_leaves", "closed: leaving wipes the tag out", "src/slots/slot.rs":
        "if self.leave_untagged(entry) {" =>
        "if self.leave_untagged(entry) | { self.0.store(ptr::without_provenance_mut(VACATED), Ordering::Release); true } {";
    "m04_orphan::parent_and_child", "orphan: the tag is not seen by who leaves", "src/slots/slot.rs":
        "addr_bits(seen, ORPHAN) != 0" => "addr_bits(seen, ORPHAN) > ORPHAN";

    // chain, table, hint, rover: overflow.
    "m11_append::first_block_while_canceled", "chain: pushing does not release", "src/slots/shard.rs":
        "match self.head.compare_exchange_weak(head, pushed, Ordering::AcqRel, Ordering::Acquire) {" =>
        "match self.head.compare_exchange_weak(head, pushed, Ordering::Acquire, Ordering::Acquire) {";
    #* "m11_append::first_block_while_canceled", "closed: a head is not tagged", "src/slots/shard.rs":
        "let head = self.head.set_bits(CLOSED, Ordering::AcqRel);" => "let head = self.head.load(Ordering::Acquire);";
    "m11_append::first_block_while_canceled", "closed: pushing onto a closed head", "src/slots/shard.rs":
        "if addr_bits(head, CLOSED) != 0 {" => "if false {";
    "m11_append::block_is_retired_while_another_comes", "chain: a block is unlinked without seals",
        "src/slots/shard.rs":
        "if let Some(taken) = slots.iter().position(|slot| !slot.seal()) {" =>
        "if let Some(taken) = slots.iter().position(Slot::is_occupied) {";
    "m11_append::block_is_retired_as_the_last_leaves", "vacate: sealing does not acquire", "src/slots/slot.rs":
        "self.0.compare_exchange(seen, sealed, Ordering::Acquire, Ordering::Relaxed)" =>
        "self.0.compare_exchange(seen, sealed, Ordering::Relaxed, Ordering::Relaxed)";
    "m11_append::block_is_retired_as_the_last_leaves", "hint: not cleared before its block is retired",
        "src/slots/shard.rs":
        "if NonNull::new(hint.cast::<Slot>()).is_some_and(|slot| Block::around(slot) == block) {" =>
        "if hint.is_null() && NonNull::new(hint.cast::<Slot>()).is_some_and(|slot| Block::around(slot) == block) {";
    "m12_desks::desks_are_put_up_while_canceled", "closed: the table is not tagged", "src/slots/cursor.rs":
        "let table = list.table.set_bits(CLOSED, Ordering::AcqRel);" => "let table = list.table.load(Ordering::Acquire);";
    "m12_desks::two_threads_crowd", "table: putting up does not release", "src/slots/mod.rs":
        "if self.table.compare_exchange(seen, table.cast(), Ordering::Release, Ordering::Relaxed).is_err() {" =>
        "if self.table.compare_exchange(seen, table.cast(), Ordering::Relaxed, Ordering::Relaxed).is_err() {";
    "m12_desks::two_threads_crowd", "table: a registrant does not acquire", "src/slots/mod.rs":
        "let table = self.table.load(Ordering::Acquire);" => "let table = self.table.load(Ordering::Relaxed);";

    // end, propagated: the state.
    #* "m09_born_ended::child_of_an_ended_parent", "end: the parent's state is not looked at before the slot",
        "src/node/spawn.rs":
        "if let Some(ended) = above.and_then(|above| above.state.bequest()) {\n        // SAFETY: forwarded.\n        return \
         unsafe { born_ended(origin, plan, other, ended) };" =>
        "if let Some(ended) = above.and_then(|_| None::<Ended>) {\n        // SAFETY: forwarded.\n        return \
         unsafe { born_ended(origin, plan, other, ended) };";
    "m09_born_ended::the_end_shows_what_was_before", "end: begin does not release", "src/state.rs":
        "match self.0.compare_exchange(ptr::null_mut(), ended.0, Ordering::AcqRel, Ordering::Acquire) {" =>
        "match self.0.compare_exchange(ptr::null_mut(), ended.0, Ordering::Acquire, Ordering::Acquire) {";
    "m09_born_ended::the_end_shows_what_was_before", "end: a look does not acquire", "src/state.rs":
        "!self.0.load(Ordering::Acquire).is_null()" => "!self.0.load(Ordering::Relaxed).is_null()";
    #* "m16_reasons::two_causes", "end: a second reason overwrites the first", "src/state.rs":
        "match self.0.compare_exchange(ptr::null_mut(), ended.0, Ordering::AcqRel, Ordering::Acquire) {" =>
        "match Some(self.0.swap(ended.0, Ordering::AcqRel)).map(|w| if w.is_null() { Ok(w) } else { Err(w) }).unwrap() {";
    #* "m02_two_cancels::both_return_after_the_end", "propagated: a second cancel does not help", "src/node/cancel.rs":
        "if matches!(begun, Begin::Propagated) {" => "if true {";
    "m08_helping::above_and_below", "propagated: a cancel from above does not help", "src/node/cancel.rs":
        "if matches!(begun, Begin::Propagated) {" => "if matches!(begun, Begin::Again | Begin::Propagated) {";
    "m02_two_cancels::both_return_after_the_end", "propagated: said before everything below has ended",
        "src/node/cancel.rs":
        "            return false;\n        }\n        true" =>
        "            return false;\n        }\n        self.state.set_propagated();\n        true";
    "m02_two_cancels::both_return_after_the_end", "propagated: saying it does not release (own end)", "src/state.rs":
        "compare_exchange(word, propagated, Ordering::Release, Ordering::Relaxed)" =>
        "compare_exchange(word, propagated, Ordering::Relaxed, Ordering::Relaxed)";
    "m08_helping::above_and_below", "propagated: saying it does not release (inherited end)", "src/state.rs":
        "self.0.store(propagated, Ordering::Release);" => "self.0.store(propagated, Ordering::Relaxed);";
    "m02_two_cancels::both_return_after_the_end", "propagated: who returns early does not acquire", "src/state.rs":
        "match self.0.compare_exchange(ptr::null_mut(), ended.0, Ordering::AcqRel, Ordering::Acquire) {" =>
        "match self.0.compare_exchange(ptr::null_mut(), ended.0, Ordering::AcqRel, Ordering::Relaxed) {";
    "m03_leave::ended_child_leaves_with_its_cause", "end: a cause that was taken out is written back", "src/state.rs":
        "let _ = self.0.compare_exchange(word, propagated, Ordering::Release, Ordering::Relaxed);" =>
        "self.0.store(propagated, Ordering::Release);";

    // epoch.
    "m03_leave::child_leaves", "epoch: a canceler does not pin", "src/node/cancel.rs":
        "let _pin = reclaim::pin();" => "";
    "m05_relay::everybody_goes_during_the_walk", "epoch: a relay that was seen is freed at once", "src/node/release.rs":
        "seen |= left.closed;" => "let _ = left.closed;";

    // orphans, last-ref, hope: the way out.
    #* "m05_relay::relay_passes_the_end_on", "orphans: a context with a child is not kept as a relay",
        "src/node/release.rs":
        "if occupied == 0 {" => "if occupied <= 1 {";
    "m04_orphan::parent_and_two_children", "orphans: who sits in the slots is not counted", "src/node/release.rs":
        "relay.orphans.fetch_sub(BIAS - occupied, Ordering::AcqRel) == BIAS - occupied" =>
        "relay.orphans.fetch_sub(BIAS, Ordering::AcqRel) == BIAS";
    "m04_orphan::parent_and_two_children", "orphans: counting down does not order", "src/node/release.rs":
        "owner.as_ref() }.orphans.fetch_sub(1, Ordering::AcqRel) == 1" =>
        "owner.as_ref() }.orphans.fetch_sub(1, Ordering::Relaxed) == 1";
    #* "m10_last_reference::two_handles", "last-ref: the last owner does not acquire", "src/refs.rs":
        "self.0.fetch_sub(1, Ordering::AcqRel) == 1" => "self.0.fetch_sub(1, Ordering::Release) == 1";
    "m10_last_reference::two_handles", "last-ref: an owner does not release", "src/refs.rs":
        "self.0.fetch_sub(1, Ordering::AcqRel) == 1" => "self.0.fetch_sub(1, Ordering::Acquire) == 1";
    "m10_last_reference::two_handles", "last-ref: the look at the last one does not acquire", "src/refs.rs":
        "if self.0.load(Ordering::Acquire) == 1 {" => "if self.0.load(Ordering::Relaxed) == 1 {";
    "m19_hope::two_relays_let_go", "hope: no fence between the own count and the look up", "src/node/release.rs":
        "// ORDERING: hope (both ends). Our count of 0 was written before; now look at what is above.\n    \
         fence(Ordering::SeqCst);" => "";
    #* "m19_hope::two_relays_let_go", "hope: no fence between the mark and the look down", "src/node/release.rs":
        "// ORDERING: hope (both ends). Our mark is written; now look at the counts of the children.\n        \
         fence(Ordering::SeqCst);" => "";
    "m19_hope::two_relays_let_go", "hope: nobody goes down", "src/node/release.rs":
        "unsafe { walk(NonNull::from(self), &mut Undertaker { told }) };" => "let _ = Undertaker { told };";

    // claim, waker: who is told.
    #* "m02_two_cancels::a_second_cancel_of_a_leaf", "claim: a function is called without being claimed",
        "src/node/cancel.rs":
        "if unsafe { hook.as_ref() }.claim() {" => "if unsafe { hook.as_ref() }.claim() | true {";
    "m03_leave::function_is_stopped_or_called", "claim: stopped without being claimed", "src/hook.rs":
        "self.claim.stop()" => "self.claim.stop() | true";
    "m17_waker_change::dropped_while_woken", "claim: who leaves frees what is being woken", "src/claim.rs":
        "self.0.swap(LEFT, Ordering::AcqRel) != CLAIMED" => "self.0.swap(LEFT, Ordering::AcqRel) != TOLD + LEFT";
    "m17_waker_change::dropped_while_woken", "claim: the two last touches are not ordered", "src/claim.rs":
        "self.0.swap(TOLD, Ordering::AcqRel) == LEFT" => "self.0.swap(TOLD, Ordering::Relaxed) == LEFT";
    #* "m14_signal::first_poll", "waker: not in place when the slot is taken", "src/signal.rs":
        "signal.waker.register(waker);" => "let _ = waker;";
    #* "m17_waker_change::second_poll_with_another_waker", "waker: no second look after it was changed",
        "src/context/done.rs":
        "Some(waiting) => waiting.update(cx.waker())," =>
        "Some(waiting) => { waiting.update(cx.waker()); return Poll::Pending }";
    #* "m13_merge::merged_while_the_other_ends", "closed: a merge does not heed its other parent", "src/node/spawn.rs":
        "node.end(bequest(parent));" => "let _ = bequest(parent);";
}
