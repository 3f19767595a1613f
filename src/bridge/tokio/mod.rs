#![doc = include_str!("../../../docs/bridges/tokio.md")]

mod run;
mod signals;
mod token;

pub use run::FutureExt;
pub use signals::{Signal, Signaled, notify_context, on_second_signal};
pub use token::{ContextToken, TokenCanceled};

#[doc = include_str!("../../../docs/bridges/cancellation-token.md")]
pub mod coming_from_cancellation_token {}
