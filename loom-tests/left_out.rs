//! What `cargo loom` leaves out, and says so.

/// Rows whose states are too many over the real collector's own steps: with one preemption
/// M15's and M21's had not come to an end after seven minutes, nor M26's after three, where the largest of the others takes
/// one. They bear `cfg(not(crossbeam_loom))`; `teeth` compares.
pub(crate) const LEFT_OUT: &[&str] = &[
    "m02_two_cancels::both_return_after_the_end",
    "m02_two_cancels::the_first_slot_is_left_between_two_cancels",
    "m08_helping::above_and_below",
    "m15_deadline::fired_as_the_parent_ends_and_the_leaf_goes",
    "m21_deadline_cause::fires_as_its_parent_ends_and_it_goes",
    "m26_late::child_is_found_and_not_marked",
    "m26_late::merge_is_found_and_not_marked",
];
