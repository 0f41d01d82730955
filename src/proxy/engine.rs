//! pingora's HTTP engine around the [`Guard`], without what the guard does not use.

use std::sync::Arc;

use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;

use super::Guard;

/// What serves the requests of every listener.
pub type Engine = HttpProxy<Guard>;

/// Where OpenSSL looks for trusted roots.
const ROOTS: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
const NO_ROOTS: &str = "/dev/null";

/// Build the engine.
///
/// Its connector loads the system's root certificates, 20 ms and several megabytes, for upstreams
/// with TLS; those of the guard bring their own. So it is pointed at none while it is built.
///
/// # Safety
///
/// Changes the environment for a moment: no other thread may exist.
pub unsafe fn engine(guard: Guard) -> Arc<Engine> {
    let before = ROOTS.map(|name| (name, std::env::var_os(name)));
    for name in ROOTS {
        // SAFETY: single-threaded, as the caller promises.
        unsafe { std::env::set_var(name, NO_ROOTS) };
    }
    let engine = http_proxy(&Arc::new(ServerConf::default()), guard);
    for (name, value) in before {
        // SAFETY: as above.
        unsafe {
            match value {
                Some(value) => std::env::set_var(name, value),
                None => std::env::remove_var(name),
            }
        }
    }
    Arc::new(engine)
}
