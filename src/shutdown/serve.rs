//! The life of a connection through the stages.

use super::{Guard, Shutdown, Stage};
use crate::error::Error;
use std::pin::{Pin, pin};

impl Shutdown {
    /// Runs a connection to its end. When the drain comes, `drain` is called once, to ask it to close when it has nothing
    /// to do: with hyper, `|conn| conn.graceful_shutdown()`. When the abort comes, it is dropped. The guard is held until
    /// then.
    ///
    /// The cancel is for what the connection serves: derive requests from [`until(Stage::Cancel)`](Shutdown::until), and a
    /// canceled one still has the time until the abort to write its answer.
    ///
    /// # Errors
    ///
    /// The error of the abort's context, if it was dropped.
    ///
    /// ```
    /// # fn block_on<F: Future>(f: F) -> F::Output {
    /// #     let mut f = std::pin::pin!(f);
    /// #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop { if let std::task::Poll::Ready(x) = f.as_mut().poll(&mut cx) { return x } }
    /// # }
    /// use ripcord::{Context, Shutdown};
    /// use std::future::poll_fn;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use std::task::Poll;
    /// use std::time::Duration;
    ///
    /// // Stands for a connection that is idle: it closes when it is asked to.
    /// let asked = AtomicBool::new(false);
    /// let idle = poll_fn(|_| if asked.load(Ordering::Relaxed) { Poll::Ready("closed") } else { Poll::Pending });
    ///
    /// let shutdown = Shutdown::new(&Context::background(), Duration::from_secs(30));
    /// let served = shutdown.serve(shutdown.guard("connection"), idle, |_conn| asked.store(true, Ordering::Relaxed));
    /// shutdown.begin("SIGTERM");
    /// assert_eq!(block_on(served), Ok("closed"));
    /// assert!(shutdown.wait().is_clean());
    /// ```
    pub async fn serve<F: Future>(
        &self,
        guard: Guard,
        connection: F,
        drain: impl FnOnce(Pin<&mut F>),
    ) -> Result<F::Output, Error> {
        // Dropped after the connection.
        let _guard = guard;
        let mut connection = pin!(connection);
        if let Ok(output) = self.until(Stage::Drain).run(connection.as_mut()).await {
            return Ok(output);
        }
        drain(connection.as_mut());
        self.until(Stage::Abort).run(connection).await
    }
}
