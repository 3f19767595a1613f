//! The list: steps of the protocols that are left out or done wrongly. Each `old` occurs exactly once in its file; what
//! stands between « and » gives way to `new`, in which $OLD is what was there and $BROKEN whether this mutant is awake.

/// One way to break the source.
pub(crate) struct Mutant {
    pub(crate) file: &'static str,
    pub(crate) old: &'static str,
    pub(crate) new: &'static str,
    /// Of these tests one must fail.
    pub(crate) models: &'static [&'static str],
    /// What is broken, and of which edge of `docs/ORDERINGS.md`.
    pub(crate) why: &'static str,
}

macro_rules! mutants {
    ($($why:literal, [$($model:literal),+], $file:literal: $old:literal => $new:literal;)+) => {
        pub(crate) const MUTANTS: &[Mutant] = &[$(Mutant {
            file: $file,
            old: $old,
            new: $new,
            models: &[$($model),+],
            why: $why,
        }),+];
    };
}

mutants! {
    // seat, closed, vacate, orphan: the slot.
    "closed: closing looks, but does not tag", ["m03_leave::child_leaves"], "slots/slot.rs":
        "match «self.0.compare_exchange_weak(seen, closed, Ordering::AcqRel, Ordering::Acquire)» {" =>
        "{ let _ = closed; Ok::<*mut (), *mut ()>(seen) }";
    "seat: taken without a look at who sits there",
        ["m06_reuse::one_leaves_two_come", "m07_comings_and_goings::register_leave_cancel"], "slots/slot.rs":
        "match «self.0.compare_exchange(seen, entry.0.as_ptr(), Ordering::AcqRel, Ordering::Acquire)» {" =>
        "Ok::<_, *mut ()>(self.0.swap(entry.0.as_ptr(), Ordering::AcqRel))";
    "closed: who leaves a closed slot frees at once", ["m05_relay::everybody_goes_during_the_walk",
        "m03_leave::waiter_beside_another_leaves"], "slots/slot.rs":
        "Left { closed: «addr_bits(seen, CLOSED) != 0»," => "false";
    "closed: a leaf that leaves a closed slot frees at once", ["m03_leave::child_leaves",
        "m03_leave::child_that_had_one_leaves"], "node/leaf.rs":
        "unsafe { «reclaim::retire(this.as_ptr().cast(), bury)» };
            }
            return true;" =>
        "bury(this.as_ptr().cast())";
    "closed: a level of a chain is freed at once", ["m05_relay::chain_of_relays_is_taken_apart_below_a_canceler"], "node/leaf.rs":
        "unsafe { «reclaim::retire(this.as_ptr().cast(), bury_emptied)» };" => "bury_emptied(this.as_ptr().cast())";
    "closed: a relay is freed at once", ["m05_relay::relay_is_taken_apart_below_a_canceler"], "node/release.rs":
        "unsafe { «reclaim::retire(this.as_ptr().cast(), bury)» };" => "bury(this.as_ptr().cast())";
    "orphan: who finds another tag counts itself off", ["m05_relay::ended_relay_leaves_a_parent_that_goes_later"],
        "slots/slot.rs":
        "let last = «self.0.load(Ordering::Acquire) == entry.0.as_ptr().map_addr(|a| a | TAGS)»;" =>
        "addr_bits(self.0.load(Ordering::Acquire), CLOSED) != 0";
    "orphan: the tag is not seen by who leaves", ["m04_orphan::parent_and_child"], "slots/slot.rs":
        "«addr_bits(seen, ORPHAN) != 0»" => "false";

    // chain, table, hint: overflow.
    "table: desks are put up behind slots that nobody used",
        ["m12_desks::waiters_put_up_desks", "m14_signal::two_waiters"], "slots/mod.rs":
        "self.inline.iter().for_each(«Slot::spend»);" => "|_| ()";
    "chain: a block is unlinked without seals", ["m11_append::block_is_retired_while_another_comes"],
        "slots/shard.rs":
        "if let Some(taken) = «slots.iter().position(|slot| !slot.seal())» {" =>
        "slots.iter().position(Slot::is_occupied)";
    "rover: does not heed who walks", ["m11_append::two_leave_and_tidy"], "slots/shard.rs":
        "if «addr_bits(seen, ROVING) != 0»
            ||" => "false";
    "epoch: a block is given back at once", ["m11_append::block_goes_while_the_walk_is_below_it"], "slots/shard.rs":
        "«unsafe { guard.retire(block.as_ptr().cast(), Block::free) };»" =>
        "let _ = guard; unsafe { Block::free(block.as_ptr().cast()) };";
    "hint: not cleared before its block is retired", ["m11_append::block_is_retired_as_the_last_leaves"],
        "slots/shard.rs":
        "if «Seat::of_word(hint).and_then(Seat::block) == Some(block)» {" => "false";

    // end, propagated: the state.
    "end: a second reason overwrites the first", ["m16_reasons::two_causes"], "state.rs":
        "match «self.0.compare_exchange(seen, ended.0, Ordering::Release, Ordering::Acquire)» {" =>
        "Ok::<*mut (), *mut ()>(self.0.swap(ended.0, Ordering::AcqRel))";
    "propagated: a second cancel does not help",
        ["m02_two_cancels::both_return_after_the_end", "m08_helping::above_and_below"], "node/cancel.rs":
        "«unsafe { self.state.is_propagated_above() }»" => "true";
    "propagated: the origin is asked of a context that may have left", ["m15_deadline::fired_as_all_go_from_the_leaf_up"],
        "node/cancel.rs":
        "if «!matches!(by, By::Holder)» {" => "false";
    "propagated: said before everything below has ended", ["m02_two_cancels::both_return_after_the_end"],
        "node/cancel.rs":
        "Begin::First(_) => «On::Down»," => "{ if $BROKEN { self.state.set_propagated() } $OLD }";
    "end: a cause that was taken out is written back", ["m21_deadline_cause::fires_as_it_goes_and_had_a_child"], "state.rs":
        "let _ = «self.0.compare_exchange(word, propagated, Ordering::Release, Ordering::Relaxed)»;" =>
        "self.0.store(propagated, Ordering::Release); Ok::<*mut (), *mut ()>(word)";

    // epoch.
    "epoch: a canceler does not pin", ["m03_leave::child_leaves"], "node/cancel.rs":
        "let _pin = «pin.unwrap_or_else(reclaim::pin)»;" => "(!$BROKEN).then(|| $OLD)";
    "epoch: a canceler does not pin before it takes who waits", ["m17_waker_change::dropped_while_woken"], "node/cancel.rs":
        "«pin.get_or_insert_with(reclaim::pin);»" => "";
    "epoch: a relay that was seen is freed at once", ["m05_relay::everybody_goes_during_the_walk"], "node/release.rs":
        "«seen |= left.closed;»" => "let _ = left.closed;";

    // orphans, hope: the way out.
    "orphans: a context with a child is not kept as a relay", ["m05_relay::relay_passes_the_end_on"],
        "node/release.rs":
        "if «occupied == 0» {" => "occupied <= 1";
    "orphans: a node goes the short way though somebody sits in it", ["m04_orphan::parent_and_child",
        "m03_leave::parent_leaves_as_its_child_does"], "node/tell.rs":
        "Orphans::Tagged(_) => «{}»" => "if let Way::Gone(values) = unsafe { leaf::leave_emptied(node) } { return unsafe { drop_values(values) } }";
    "orphans: who sits in the slots is not counted", ["m04_orphan::parent_and_two_children"], "node/release.rs":
        "«relay.orphans.fetch_sub(absent, Ordering::AcqRel) == absent»" =>
        "relay.orphans.fetch_sub(BIAS, Ordering::AcqRel) == BIAS";
    "orphans: an ended relay does not say that one is left", ["m04_orphan::ended_parent_and_child"], "node/release.rs":
        "«relay.orphans.store(1, Ordering::Relaxed);»" => "";
    "orphans: an ended relay does not look whether there are more", ["m04_orphan::ended_parent_and_two_children"],
        "slots/mod.rs":
        "«second.is_virgin()».then_some(first)" => "true";
    "hope: nobody goes down", ["m19_hope::two_relays_let_go"], "node/release.rs":
        "«unsafe { walk(NonNull::from(self), &mut Undertaker { told }) };»" => "let _ = Undertaker { told };";
    "closed: what a bridge attached is met by whoever gives hope up, and not let go",
        ["m23_attached::goes_as_the_one_above_is_given_up_from_a_slot"], "node/release.rs":
        "«self.told.garbage.push(Garbage::Waker(waker));»" => "std::mem::forget(waker);";

    // claim, waker: who is told.
    "claim: a function is called without being claimed", ["m02_two_cancels::a_second_cancel_of_a_leaf"],
        "node/cancel.rs":
        "if «unsafe { hook.as_ref() }.claim()» {" => "unsafe { hook.as_ref() }.claim() | true";
    "claim: stopped without being claimed", ["m03_leave::function_is_stopped_or_called"], "hook.rs":
        "«self.claim.stop()»" => "self.claim.stop() | true";
    "epoch: who leaves frees what is being woken", ["m17_waker_change::dropped_while_woken",
        "m17_waker_change::dropped_while_woken_beside_another"], "signal.rs":
        "«unsafe { reclaim::retire(this.as_ptr().cast(), Signal::bury) };»" =>
        "unsafe { Signal::bury(this.as_ptr().cast()) };";
    "closed: who is met twice is told twice", ["m14_signal::two_cancels_beside_another"],
        "node/cancel.rs":
        "if «first» {" => "first | true";

    // meet: who registers, and who ends.
    "meet: a registrant does not look for the end", ["m01_register::first_child"], "slots/mod.rs":
        "if «owner.has_ended_meanwhile()» {" => "false";
    "meet: no fence between the seat and the look for the end", ["m01_register::first_child"], "state.rs":
        "// ORDERING: meet: between the seat and the look for the end.\n        «full_fence();»" => "";
    "meet: no fence between the end and the look at the seats", ["m01_register::first_child"], "state.rs":
        "// ORDERING: meet: between the end and the look at who sits in the slots.\n                    «full_fence();»" => "";
    "meet: no fence between the end of one that was waited for and the look at the seats",
        ["m01_register::first_child_beside_a_waiter"], "state.rs":
        "// ORDERING: meet, as above.\n                    «full_fence();»" => "";
    "meet: no fence before a helper's look at the seats", ["m25_meeting::who_helps_meets_who_came_in_time"], "state.rs":
        "// ORDERING: meet, for whoever helps.\n        «full_fence();»" => "";
    "meet: a context with somebody in its slots ends as a leaf", ["m01_register::second_child"], "node/cancel.rs":
        "if «self.slots.is_virgin()» { On::Nowhere }" => "true";
    "meet: who found the end stays", ["m14_signal::first_poll_beside_another"], "slots/mod.rs":
        "if «unsafe { seat.slot().as_ref() }.leave_untagged(entry)» {" => "false";
    "meet: who found the end stands up although it was found", ["m25_meeting::second_comer_cancels"], "slots/mod.rs":
        "if «unsafe { seat.slot().as_ref() }.leave_untagged(entry)» {" => "{ unsafe { seat.slot().as_ref() }.leave_untagged(entry); true }";
    "meet: who came late and was found is told that it came in time", ["m26_late::child_is_found_and_not_marked",
        "m26_late::merge_is_found_and_not_marked"], "slots/mod.rs":
        "Ok(«Seated::Late»)" => "Seated::InTime";
    "meet: a child that came late is left to who found it", ["m26_late::child_is_found_and_not_marked"], "node/spawn.rs":
        "«fresh.end_late(parent);»" => "";
    "meet: a merge that came late is left to who found it", ["m26_late::merge_is_found_and_not_marked"], "node/spawn.rs":
        "Ok(Seated::Late) => «node.end_late(parent)»," => "";
    "meet: a waiter that was found late is given back", ["m25_meeting::a_waiter_that_comes_late_is_woken",
        "m25_meeting::a_late_waiter_changes_its_waker"], "node/registering.rs":
        "«node.slots.register(&node.state, Entry::new(Kind::Signal, signal), placed).is_ok()»" =>
        "matches!(node.slots.register(&node.state, Entry::new(Kind::Signal, signal), placed), Ok(crate::slots::Seated::InTime))";
    "meet: a function that was found late is called by its owner", ["m25_meeting::a_function_that_comes_late_is_called_once",
        "m11_append::block_goes_before_its_function_looks"], "node/registering.rs":
        "if «!fresh.claim()» {" => "{ fresh.claim(); false }";

    // waker: who waits.
    "waker: not in place when the word or the slot is taken", ["m14_signal::first_poll",
        "m14_signal::first_poll_beside_another"], "signal.rs":
        "waker: UnsafeCell::new(«ManuallyDrop::new(waker)»)," => "drop(waker); ManuallyDrop::new(Waker::noop().clone())";
    "waker: another one does not come in its place", ["m17_waker_change::second_poll_with_another_waker"],
        "node/registering.rs":
        "«unsafe { free.put(waker) };»" => "drop(waker); unsafe { free.put(Waker::noop().clone()) };";
    "waker: it says that it sits where it sat before", ["m17_waker_change::moves_from_a_slot_to_the_word"],
        "node/registering.rs":
        "«unsafe { free.set_place(Place::Word(NonNull::from(&node.state))) };»" => "";
    "waker: the end does not take along who waits in the word", ["m14_signal::first_poll"], "state.rs":
        "return Begin::First(«NonNull::new(taken)»);" => "None";
    "waker: it changes where whoever ends the state looks", ["m17_waker_change::second_poll_with_another_waker"],
        "node/registering.rs":
        "Place::Word(state) => «unsafe { state.as_ref() }.leave(self.signal.cast())»," =>
        "{ let _ = unsafe { state.as_ref() }.leave(self.signal.cast()); true }";
    "waker: it changes where a canceler looks", ["m17_waker_change::second_poll_with_another_waker_beside_another"],
        "node/registering.rs":
        "if «unsafe { seat.leave_untagged(entry) }» {
            return true;" =>
        "unsafe { seat.leave_untagged(entry) || { let _ = seat.leave(entry); true } }";
    "closed: a merge does not heed its other parent", ["m13_merge::merged_while_the_other_ends"], "node/spawn.rs":
        "«node.end(bequest(parent));»" => "let _ = bequest(parent);";

    // deadline, timer-cell, cause-read: a node's own deadline.
    "deadline: a push back does not heed the decision to fire", ["m15_deadline::fired_or_pushed_back"],
        "node/deadline.rs":
        "&& «self.deadline.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()»;" =>
        "{ self.deadline.store(to, Ordering::Release); true }";
    "deadline: any other move does not", ["m18_stale_reminder::forward_then_back_as_both_surface"],
        "node/deadline.rs":
        "match «self.deadline.compare_exchange_weak(from, next, Ordering::AcqRel, Ordering::Acquire)» {" =>
        "self.deadline.store(next, Ordering::Release); Ok::<u64, u64>(from)";
    "deadline: what surfaces fires, whatever the deadline is", ["m18_stale_reminder::put_back_as_it_goes",
        "m15_deadline::fired_or_pushed_back", "m18_stale_reminder::forward_then_back_as_both_surface"],
        "node/deadline.rs":
        "if «when > now» {" => "false";
    "timer-cell: who arms forgets that the old cell was surfacing",
        ["m15_deadline::pulled_forward_and_dropped_as_it_fires"], "node/deadline.rs":
        "«self.timer.set_bits(SEEN, Ordering::AcqRel);»" => "";
    "timer-cell: a node is freed as the driver looks at it", ["m15_deadline::fired_as_the_leaf_and_its_parent_go"],
        "node/release.rs":
        "let mut seen = «node.let_timer_go()»;" => "{ let seen = $OLD; seen && !$BROKEN }";
    "timer-cell: a leaf is freed as the driver looks at it", ["m15_deadline::fired_as_the_leaf_goes",
        "m15_deadline::fired_as_one_that_had_a_child_goes"],
        "node/leaf.rs":
        "if «node.drop_timer()» {" => "{ let seen = $OLD; seen && !$BROKEN }";
    "timer-cell: the driver lets go of the reminder that it looks at", ["m15_deadline::fired_as_the_leaf_goes"],
        "node/deadline.rs":
        "node.mark(node.decided(), told, «By::Reminder»)" => "if $BROKEN { By::Another } else { $OLD }";
    "timer-cell: a leaf is retired before its canceler has let the reminder go",
        ["m15_deadline::fired_as_the_parent_ends_and_the_leaf_goes"], "node/leaf.rs":
        "unsafe { this.as_ref() }.let_timer_go();
    // SAFETY: forwarded.
    «!unsafe { Node::leave_to_canceler(this) }»" => "true";
    "timer-cell: a node is retired before its canceler has let the reminder go",
        ["m21_deadline_cause::fires_as_its_parent_ends_and_it_goes"], "node/release.rs":
        "if «!unsafe { Node::leave_to_canceler(this) }» {
            // SAFETY: unreachable from any slot, claim or handle." => "true";
    "deadline: the reminder that came too late is not replaced", ["m15_deadline::pulled_forward_twice"],
        "node/deadline.rs":
        "if «now >= key» {" => "true";
    "cause-read: a deadline's cause is taken while it is read", ["m21_deadline_cause::relay_fires_as_its_child_goes",
        "m21_deadline_cause::fires_as_it_goes"], "node/release.rs":
        "node.extra().filter(|_| «node.forgo_deadline()»)" => "true";

    // foreign.
    "foreign: a wake-up during a poll is lost", ["m20_foreign::woken_by_two",
        "m20_foreign::what_the_waker_did_is_seen"], "node/foreign.rs":
        "POLLING => «AGAIN»," => "POLLING";
    "foreign: a node is freed as the future ends it", ["m20_foreign::opens_as_it_goes"], "node/release.rs":
        "Disowned::Ending => «seen = true»," => "";
    "foreign: the future is claimed without a pin", ["m20_foreign::opens_as_it_goes"], "node/foreign.rs":
        "let pin = «reclaim::pin()»;" => "(!$BROKEN).then(|| $OLD)";
    "foreign: the future is dropped while it is polled", ["m20_foreign::woken_as_it_is_canceled",
        "m20_foreign::storm_as_it_goes"], "node/foreign.rs":
        "Ok(IDLE) => return Disowned::Yours,\n                Ok(_) => return «Disowned::Gone»," => "Disowned::Yours";

    // last-ref: values.
    "last-ref: a value on top does not count the one below", ["m22_values::two_branches_of_a_chain"], "value/mod.rs":
        "if let Some(binding) = unsafe { head.as_ref() } {\n            «binding.refs.add();»" => "let _ = binding;";

    // attached.
    "attached: a second thing takes the place of the first", ["m23_attached::two_first_uses"], "node/attached.rs":
        "match «self.0.compare_exchange(ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire)» {" =>
        "Ok::<*mut Attached, *mut Attached>(self.0.swap(fresh, Ordering::AcqRel))";
    "attached: its waker stays in the slots when the last handle goes", ["m23_attached::last_handle_goes_as_it_ends_from_a_slot"],
        "node/attached.rs":
        "if «attached.is_null()» {\n                return;" => "true";
    "attached: not told of an end that came as it was made", ["m23_attached::first_use_as_it_ends"], "node/registering.rs":
        "let waiting = «Waiting::register(self, waker)?»;" =>
        "match Waiting::register(self, waker) { Some(waiting) => waiting, None => return Some(self.attached.hang(thing, Box::new(()))) }";

    // guards.
    "guards: who leaves does not ask whether the shutdown has begun", ["m24_guards::two_leave"], "shutdown/shared.rs":
        "if «before == ONE | GOING» {" => "before == ONE";
    "guards: who begins does not ask whether anybody is left", ["m24_guards::last_leaves_as_it_begins"],
        "shutdown/shared.rs":
        "if «before < ONE || self.0.until(Stage::Abort).is_done()» {" => "self.0.until(Stage::Abort).is_done()";
    "guards: who leaves says so in two steps", ["m24_guards::last_leaves_as_it_begins"], "shutdown/shared.rs":
        "let before = «self.held.fetch_sub(ONE, Ordering::AcqRel)»;" =>
        "{ let held = self.held.load(Ordering::Acquire); self.held.store(held - ONE, Ordering::Release); held }";

    // timer-*: the engine.
    "timer-arm: no second look", ["timer::models::arm_and_turn"], "timer/turn.rs":
        "if «missed < published && self.driver.runs()» {" => "false";
    "timer-low: the bound is reset after the inbox is taken", ["timer::models::arm_and_turn"], "timer/shard.rs":
        "«self.inflow_low = low;»" => "self.inflow_low = low; shard.front.low.store(NEVER, Ordering::SeqCst);";
    "timer-free: a slab goes while one of its cells is out",
        ["timer::slab_modeled::models::one_comes_home_as_one_goes_out"], "timer/slab.rs":
        "match «own.home.len()» {" => "own.home.len() + 1";
    "timer-free: a slab that goes stays in the list", ["timer::slab_modeled::models::both_come_home"], "timer/slab.rs":
        "let _ = «unsafe { self.remove(slab) }»;" => "Chain::new()";
    "timer-free: cells stay on their way though the lock was had", ["timer::slab_modeled::models::both_come_home"],
        "timer/slab.rs":
        "while «!self.strays.is_empty()» {" => "false";
    "timer-claim: the driver looks without a pin", ["timer::models::fire_and_leave",
        "timer::models::put_back_and_leave", "m15_deadline::fired_as_it_goes"], "timer/turn.rs":
        "let guard = «reclaim::pin()»;" =>
        "{ let guard = $OLD; if $BROKEN { drop(unsafe { std::ptr::read(&guard) }) } guard }";
}
