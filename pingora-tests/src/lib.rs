//! ripcord inside a pingora proxy: one context per request, from its arrival to the last byte of its answer.
//!
//! | file       | what it is                                                                                      |
//! |------------|-------------------------------------------------------------------------------------------------|
//! | `proxy`    | the `ProxyHttp`: where in pingora's phases the context is asked                                 |
//! | `request`  | its `CTX`: the request's context, the handle, the record                                        |
//! | `attempt`  | one try: a child context, and the upstream connection that it hangs up                          |
//! | `hangup`   | how a connection that pingora reads is ended by somebody else                                   |
//! | `bounded`  | around the whole: drops what goes on after its context ended                                    |
//! | `server`   | pingora's `Server`, going down in ripcord's stages                                              |
//! | `cause`    | why requests end, and what the client is told                                                   |
//! | `record`   | the access log                                                                                  |
//!
//! `kit` is not part of it: the faulty origin, the raw client and the plain twin of tests and example.

mod attempt;
pub mod bounded;
pub mod cause;
mod hangup;
pub mod kit;
pub mod proxy;
pub mod record;
pub mod request;
pub mod server;

/// The examples of the page, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/bridges/pingora.md")]
pub mod pingora_page {}
