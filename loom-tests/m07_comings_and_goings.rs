//! M7: one registers, one leaves, one cancels, all in one list.

use crate::support::{explore, preemptions, root, said, waits_beside};

#[test]
fn register_leave_cancel() {
    explore("M7 register, leave, cancel", preemptions(2, Some(3)), || {
        let (parent, handle) = root();
        let leaving = parent.with_cancel();
        let ours = parent.clone();
        let coming = loom::thread::spawn(move || ours.with_cancel().0);
        let going = loom::thread::spawn(move || drop(leaving));
        handle.cancel_cause("gone");
        assert_eq!(said(&coming.join().unwrap()).as_deref(), Some("gone"));
        going.join().unwrap();
    });
}

#[test]
fn register_stop_waiting_cancel() {
    explore("M7 register, stop waiting, cancel", preemptions(2, Some(3)), || {
        let (parent, handle) = root();
        let _other = waits_beside(&parent);
        let waiting = waits_beside(&parent);
        let ours = parent.clone();
        let coming = loom::thread::spawn(move || ours.with_cancel().0);
        let going = loom::thread::spawn(move || drop(waiting));
        handle.cancel_cause("gone");
        assert_eq!(said(&coming.join().unwrap()).as_deref(), Some("gone"));
        going.join().unwrap();
    });
}
