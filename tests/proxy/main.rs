//! The example proxy as its users meet it: a process of its own, a faulty origin behind it, real clients before it, a
//! real SIGTERM; what the client saw, what the origin saw, and that no context is left alive.
//!
//! Everything here is blocking and made of `std`, so that no mistake is shared with what is tested. Programs that are not
//! there (`curl`, `wrk`, `h2load`, Python's `grpcio`) are replaced by a word about it.
#![cfg(all(unix, not(feature = "loom")))]

mod faults;
mod h2;
mod http1;
mod http2;
mod origin;
mod programs;
mod proxy;
mod stages;
