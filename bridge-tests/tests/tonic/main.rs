//! tonic's server and client on real sockets: statuses, deadlines and cancelations, both ways.

mod client;
mod interceptors;
mod onward;
mod server;
mod status;
