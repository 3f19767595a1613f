//! The admin endpoint: is it healthy, and what is it doing?
//!
//! | path        | answer                                                                        |
//! |-------------|-------------------------------------------------------------------------------|
//! | `/health`   | 200, and 503 from the moment the shutdown begins                              |
//! | `/stats`    | counters, contexts alive, pool and shutdown, as JSON                          |
//! | `/contexts` | contexts made and alive, by kind                                              |
//! | `/shutdown` | the report of the shutdown so far                                             |

use crate::forward::Proxy;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ripcord::shutdown::Stage;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// What an operator, or a script, may take for a request and its answer.
const PATIENCE: Duration = Duration::from_secs(30);
const BREATH: Duration = Duration::from_millis(10);

/// Serves until the very end: it is of use while everything else goes down. It holds no guard: nobody waits for it.
pub(crate) async fn serve(proxy: Arc<Proxy>, listener: TcpListener) {
    let until = proxy.shutdown.until(Stage::Abort).clone();
    while let Ok(accepted) = until.run(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            let _ = until.sleep(BREATH).await;
            continue;
        };
        let (proxy, (ctx, _)) = (Arc::clone(&proxy), until.with_timeout(PATIENCE));
        tokio::spawn(async move {
            let service = service_fn(|request| answer(&proxy, request));
            let _ = ctx.run(http1::Builder::new().serve_connection(TokioIo::new(stream), service)).await;
        });
    }
}

async fn answer(proxy: &Proxy, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let up = proxy.shutdown.stage().is_none();
    let (status, text) = match request.uri().path() {
        "/health" if up => (StatusCode::OK, "up\n".to_owned()),
        "/health" => (StatusCode::SERVICE_UNAVAILABLE, "going down\n".to_owned()),
        "/stats" => (StatusCode::OK, stats(proxy)),
        "/contexts" => (StatusCode::OK, format!("{}\n", proxy.ledger)),
        "/shutdown" => (StatusCode::OK, format!("{}\n", proxy.shutdown.report())),
        _ => (StatusCode::NOT_FOUND, "/health, /stats, /contexts, /shutdown\n".to_owned()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    Ok(response)
}

pub(crate) fn stats(proxy: &Proxy) -> String {
    let stage = proxy.shutdown.stage().map_or("up", Stage::name);
    let running = proxy.shutdown.tracker("connection").running();
    let (resting, shared) = proxy.pool.sizes();
    format!(
        "{{{}, \"open_connections\": {}, \"oldest_connection_ms\": {}, \"resting_upstream\": {resting}, \
         \"shared_upstream\": {shared}, \"contexts_made\": {}, \"contexts_alive\": {}, \"stage\": \"{stage}\"}}\n",
        proxy.counters.json(),
        running.count,
        running.oldest.as_millis(),
        proxy.ledger.created(),
        proxy.ledger.alive(),
    )
}
