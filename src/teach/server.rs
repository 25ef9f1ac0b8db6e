//! The server: a listener, connections with limits, and headers that let nothing in or out.

use super::error::TeachError;
use super::guard::{Guard, Refusal};
use super::routes::{Answer, Routes};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Most bytes of a body.
const BODY: usize = 256 << 10;
/// How long heads and bodies may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How long a connection may last: longer than a text may wait for its turn and run.
const CONNECTION: Duration = Duration::from_secs(300);
/// Most connections at once.
const CONNECTIONS: usize = 256;

/// Headers of every answer: nothing from elsewhere runs, is shown or asked; nobody else embeds or reads it.
const HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// What is wished of a server.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// The port; 0 for a free one.
    pub port: u16,
    /// Whether other machines of the network may ask.
    pub class: bool,
    /// The program that runs texts, measures and searches: this one.
    pub program: PathBuf,
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    guard: Guard,
    routes: Routes,
    class: bool,
    port: u16,
}

impl Server {
    /// Listens, and makes ready what is answered.
    ///
    /// # Errors
    /// [`TeachError`], above all where the port is taken.
    pub fn bind(wishes: Wishes) -> Result<Self, TeachError> {
        let Wishes {
            port,
            class,
            program,
        } = wishes;
        let address = match class {
            true => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            false => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let listener = TcpListener::bind(SocketAddr::new(address, port)).map_err(|error| {
            match error.kind() {
                std::io::ErrorKind::AddrInUse => TeachError::Taken { port },
                _ => TeachError::Listen { port, error },
            }
        })?;
        let port = listener.local_addr()?.port();
        Ok(Self {
            guard: Guard::new(port, class)?,
            routes: Routes::new(program)?,
            listener,
            class,
            port,
        })
    }

    /// Where the page is.
    pub fn address(&self) -> String {
        let host = match self.class {
            true => own_address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            false => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        format!("http://{host}:{}/{}/", self.port, self.guard.code)
    }

    /// Answers until the program is asked to end: by Ctrl-C, or by a signal.
    ///
    /// # Errors
    /// Where the system gives no thread or no connection.
    pub fn serve(self) -> Result<(), TeachError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(64)
            .build()?;
        let desk = Arc::new(Desk {
            guard: self.guard,
            routes: self.routes,
        });
        let listener = self.listener;
        let ended = runtime.block_on(async move {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::spawn(listen(listener, desk));
            asked_to_end().await
        });
        // A text that runs is not waited for; searches end with what holds them.
        runtime.shutdown_background();
        Ok(ended?)
    }
}

async fn listen(listener: tokio::net::TcpListener, desk: Arc<Desk>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(seat) = Arc::clone(&room).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Too many files are open, or the other side has left: others may come.
            Err(error) => {
                log::debug!("no connection: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let desk = Arc::clone(&desk);
        tokio::spawn(async move {
            let _seat = seat;
            let service = service_fn(|request| answer(Arc::clone(&desk), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(ARRIVAL)
                .max_buf_size(64 << 10)
                .serve_connection(TokioIo::new(stream), service);
            if let Ok(Err(error)) = tokio::time::timeout(CONNECTION, connection).await {
                log::debug!("a connection ended: {error}");
            }
        });
    }
}

/// Waits for Ctrl-C or, as schedulers and service managers send it, for TERM.
#[cfg(unix)]
async fn asked_to_end() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (send, mut asked) = tokio::sync::mpsc::channel(1);
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let (mut signals, send) = (signal(kind)?, send.clone());
        tokio::spawn(async move {
            signals.recv().await;
            let _ = send.send(()).await;
        });
    }
    asked.recv().await;
    Ok(())
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
async fn asked_to_end() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

struct Desk {
    guard: Guard,
    routes: Routes,
}

async fn answer(
    desk: Arc<Desk>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(response(reply(desk, request).await))
}

async fn reply(desk: Arc<Desk>, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let changes = head.method == Method::POST;
    let text = |headers: &HeaderMap, name: HeaderName| -> Option<String> {
        // Two hosts are none.
        let mut values = headers.get_all(name).into_iter();
        let first = values.next()?.to_str().ok()?.to_owned();
        values.next().is_none().then_some(first)
    };
    let host = text(&head.headers, HOST);
    let origin = match head.headers.contains_key(ORIGIN) {
        true => Some(text(&head.headers, ORIGIN).unwrap_or_default()),
        false => None,
    };
    let admitted = desk
        .guard
        .admit(head.uri.path(), host.as_deref(), origin.as_deref(), changes);
    let path = match admitted {
        Ok(path) => path.to_owned(),
        Err(Refusal::Code) => return Answer::refusal(404, "not here: the address needs its code"),
        Err(Refusal::Host) => return Answer::refusal(421, "this server goes by another name"),
        Err(Refusal::Origin) => return Answer::refusal(403, "only its own page may ask that"),
    };
    if head.method == Method::GET || head.method == Method::HEAD {
        let query = head.uri.query().unwrap_or_default().to_owned();
        return blocking(move || desk.routes.get(&path, &query)).await;
    }
    if !changes {
        return Answer::refusal(405, "only GET and POST");
    }
    let kind = text(&head.headers, CONTENT_TYPE).unwrap_or_default();
    if kind.split(';').next() != Some("application/json") {
        return Answer::refusal(415, "a body must be application/json");
    }
    match tokio::time::timeout(ARRIVAL, Limited::new(body, BODY).collect()).await {
        Ok(Ok(body)) => {
            let body = body.to_bytes();
            blocking(move || desk.routes.post(&path, &body)).await
        }
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Answer::refusal(413, &format!("a body may have {BODY} bytes"))
        }
        Ok(Err(_)) => Answer::refusal(400, "the body did not arrive whole"),
        Err(_) => Answer::refusal(408, "the body took too long"),
    }
}

/// Runs what may wait where it holds up nobody else.
async fn blocking(work: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Answer::refusal(500, "a defect of autorep: please report it"))
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(match answer.body {
        std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
    }));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.kind));
    for &(name, value) in HEADERS {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    response
}

/// The address by which others of the network reach this machine. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}
