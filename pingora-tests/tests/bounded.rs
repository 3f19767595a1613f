//! A request that does not hear of the end of its context is dropped.

use async_trait::async_trait;
use pingora_core::Result;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session};
use pingora_tests::bounded::hand_out;
use pingora_tests::kit::client::Client;
use pingora_tests::kit::eventually;
use pingora_tests::kit::world::{LINGER, start};
use ripcord::Context;
use ripcord::shutdown::Shutdown;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

const BUDGET: Duration = Duration::from_millis(200);

/// Does not look at its context.
struct Stuck {
    hands_out: bool,
    dropped: Arc<AtomicBool>,
}

struct Life(Arc<AtomicBool>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[async_trait]
impl ProxyHttp for Stuck {
    type CTX = (Context, Life);

    fn new_ctx(&self) -> (Context, Life) {
        let (context, _) = Context::background().with_timeout(BUDGET);
        if self.hands_out {
            hand_out(&context);
        }
        (context, Life(self.dropped.clone()))
    }

    async fn request_filter(&self, _: &mut Session, _: &mut Self::CTX) -> Result<bool> {
        pending().await
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        unreachable!("the filter before it never returns")
    }
}

#[test]
fn a_filter_that_hangs_is_dropped_and_only_if_its_context_ended() {
    let shutdown = Shutdown::new(&Context::background(), BUDGET);
    let stuck = |hands_out| {
        let dropped = Arc::new(AtomicBool::new(false));
        let (port, at) = start(Stuck { hands_out, dropped: dropped.clone() }, &shutdown, BUDGET);
        (port, Client::send(at, "GET", "/", &[]), dropped)
    };
    let (_port, unbound, goes_on) = stuck(false);
    let (_port, mut client, dropped) = stuck(true);

    let answer = client.finish();
    assert_eq!(answer.status, None, "{answer:?}");
    assert!(answer.took >= BUDGET + LINGER, "it had time to say so itself: {answer:?}");
    eventually("its CTX to be dropped", || dropped.load(SeqCst));
    assert!(!goes_on.load(SeqCst), "nobody was told of this one's context");
    drop(unbound);
}
