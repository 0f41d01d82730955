//! pingora's HTTP engine around the [`Guard`], without what the guard does not use.

use std::sync::Arc;

use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;

use super::Guard;
use crate::os::environment;

/// The application that serves the requests of every web listener.
pub type Engine = HttpProxy<Guard>;

/// The variables that tell OpenSSL where trusted roots are.
const ROOTS: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
const NO_ROOTS: &str = "/dev/null";

/// Builds the engine.
///
/// pingora's connector loads the system's root certificates for upstreams with TLS, 20 ms and several
/// megabytes; the guard's upstreams bring their own CA. So the connector is pointed at no roots while
/// it is built, as long as no other thread exists that could see the change.
pub fn engine(guard: Guard) -> Arc<Engine> {
    let build = || http_proxy(&Arc::new(ServerConf::default()), guard);
    Arc::new(environment::with_variables(&ROOTS, NO_ROOTS, build))
}
