//! pingora's HTTP engine around the [`Guard`], without what the guard does not use.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::IntoRawFd;
use std::sync::{Arc, mpsc};

use parking_lot::Mutex;
use pingora::apps::HttpServerOptions;
use pingora::proxy::{HttpProxy, ProxyServiceBuilder};
use pingora::server::Fds;
use pingora::server::configuration::ServerConf;
use pingora::services::Service as _;
use pingora::services::listening::Service;
use tokio::sync::watch;

use super::Guard;
use super::paced::PacedConnector;
use crate::os::environment;

/// The application that serves the requests of every web listener.
pub type Engine = HttpProxy<Guard, PacedConnector>;

/// The variables that tell OpenSSL where trusted roots are.
const ROOTS: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
const NO_ROOTS: &str = "/dev/null";

/// Builds the engine.
///
/// pingora's connector loads the system's root certificates for upstreams with TLS, 20 ms and several
/// megabytes; the guard's upstreams bring their own CA. So the connector is pointed at no roots while
/// it is built, as long as no other thread exists that could see the change.
///
/// # Errors
///
/// Returns an error when the loopback interface has no socket for it.
pub fn engine(guard: Guard) -> io::Result<Arc<Engine>> {
    let (sender, receiver) = mpsc::channel();
    let build = || {
        let mut options = HttpServerOptions::default();
        options.force_custom = true;
        ProxyServiceBuilder::new(&Arc::new(ServerConf::default()), guard)
            .custom(
                PacedConnector::new(),
                Arc::new(move |engine, _, _| {
                    // The engine is wanted once.
                    let _ = sender.send(engine);
                    Box::pin(async { None })
                }),
            )
            .server_options(options)
            .build()
    };
    let service = environment::with_variables(&ROOTS, NO_ROOTS, build);
    take_out(service, &receiver)
}

/// Takes the engine out of pingora's service.
///
/// pingora has a constructor of engines with a connector of one's own only inside a service, and hands
/// the engine out to the handler of custom protocols. So the service gets one connection, which it
/// hands to that handler, and ends. Another process that connects first is handed to the same handler, and
/// changes nothing.
fn take_out(
    mut service: Service<Engine>,
    engines: &mpsc::Receiver<Arc<Engine>>,
) -> io::Result<Arc<Engine>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let mut sockets = Fds::new();
    sockets.add(address.to_string(), listener.into_raw_fd());
    service.add_tcp(&address.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _connection = TcpStream::connect(address)?;
    let (_stop, stopping) = watch::channel(false);
    runtime.spawn(async move {
        service.start_service(Some(Arc::new(Mutex::new(sockets))), stopping, 1).await;
    });
    runtime.block_on(async {
        loop {
            match engines.try_recv() {
                Ok(engine) => return Ok(engine),
                Err(mpsc::TryRecvError::Empty) => tokio::task::yield_now().await,
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    })
}
