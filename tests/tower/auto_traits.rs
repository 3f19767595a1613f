//! Rule O4 for the bridges: what is held may be held anywhere.

use crate::support::{Handler, Script};
use http::Request;
use http_body_util::Full;
use ripcord::http::{Child, Flaw, Header, Malformed, Policy, Reading, Text};
use ripcord::tower::{
    CallFuture, ContextBody, ContextLayer, ContextService, DeadlineLayer, DeadlineService, Gone, Plain, ResponseFuture,
};
use std::fmt::Debug;
use std::future::Ready;
use std::panic::{RefUnwindSafe, UnwindSafe};
use tower_service::Service;

fn anywhere<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + Debug + 'static>() {}
fn sent<T: Send + 'static>() {}
fn cloned<T: Clone + Send + Sync + 'static>() {}

#[test]
fn o4_everything_public_is_send_sync_unpin_and_unwind_safe() {
    anywhere::<(Header, Flaw, Malformed, Text, Policy, Reading, Child)>();
    anywhere::<(Plain, Gone)>();
    anywhere::<ContextLayer>();
    anywhere::<DeadlineLayer>();
    // As far as what they are around is.
    anywhere::<ContextService<()>>();
    anywhere::<DeadlineService<()>>();
    anywhere::<ContextBody<Full<&'static [u8]>, Plain>>();
    anywhere::<ResponseFuture<Ready<()>, Plain>>();
    anywhere::<CallFuture<Ready<()>, Plain>>();
}

#[test]
fn what_servers_ask_of_services() {
    type Served = ContextService<DeadlineService<Handler>>;
    cloned::<Served>();
    sent::<<Served as Service<Request<()>>>::Future>();
    sent::<ContextBody<ContextBody<Script, Plain>, Plain>>();
    cloned::<(ContextLayer, DeadlineLayer)>();
}

#[test]
fn what_they_weigh() {
    const WORD: usize = size_of::<usize>();
    assert!(size_of::<Text>() <= 4 * WORD, "{}", size_of::<Text>());
    let body = size_of::<ContextBody<(), Plain>>();
    assert!(body <= 13 * WORD, "{body} bytes beside the body inside");
    let future = size_of::<ResponseFuture<(), Plain>>();
    assert!(future <= 13 * WORD, "{future} bytes beside the handler's future");
    let call = size_of::<CallFuture<(), Plain>>();
    assert!(call <= 13 * WORD, "{call} bytes beside the call inside");
}
