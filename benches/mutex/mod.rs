//! The baseline every figure is held against: Go's context algorithm on a mutex, with the same face as `ripcord`.
//!
//! # The algorithm
//!
//! A node is an `Arc`; it holds its parent strongly, and the parent knows its children by address in a hash map of
//! `Weak`s, made when the first child comes. To derive is to take the nearest cancelable ancestor's lock and either
//! learn that it has ended or go into its map. To cancel is to take the node's lock, publish the error, close the
//! signal, take the map out and go down into every child while the lock is still held. To leave, by a cancel of one's
//! own or by the last handle's drop, is to take the parent's lock and go out of its map. Values and cancelable nodes
//! form one chain, walked link by link. `err` is an atomic beside the lock, `cause` needs the lock.
//!
//! # What is done to make it a strong rival
//!
//! * One allocation per child, 80 bytes of node; map and signal are boxed and made on first use, so a leaf pays 8
//!   bytes for each. The map's hash is one multiplication.
//! * A child that finds its parent ended does not lock it on the way out: the canceler has taken the map.
//! * A node's err, its deadline and its place in the timer heap share words outside the lock.
//! * Wakers and functions are run when the walk is over and no lock is held; nothing is collected when nobody waits.
//! * Dropping a timed child touches one relaxed counter, not the heap: dead entries are swept out when they are half
//!   of it. See `timers.rs`.
//!
//! # What is left as Go has it
//!
//! Cancel recurses with the locks held (Go's stacks grow, these do not: a chain of 100k overflows), `cause` and derive
//! wait for a fan-out, look-ups walk every node.
//!
//! # Two locks
//!
//! The same source is built twice, over `std::sync::Mutex` and over `parking_lot`.

// Each bench uses a part of the face, and tests/baseline.rs the rest.
#![allow(dead_code, unused_imports)]

#[path = "."]
pub(crate) mod on_std {
    //! The baseline over `std::sync`.

    #[path = "lock_std.rs"]
    mod lock;
    mod signal;
    mod timers;
    mod tree;

    pub(crate) use signal::{AfterFunc, Done};
    pub(crate) use timers::queued;
    pub(crate) use tree::{CancelHandle, Cause, Context, Error};
}

// The second build of the same files is the point.
#[allow(clippy::duplicate_mod)]
#[path = "."]
pub(crate) mod on_parking_lot {
    //! The baseline over `parking_lot`.

    #[path = "lock_parking_lot.rs"]
    mod lock;
    mod signal;
    mod timers;
    mod tree;

    pub(crate) use signal::{AfterFunc, Done};
    pub(crate) use timers::queued;
    pub(crate) use tree::{CancelHandle, Cause, Context, Error};
}
