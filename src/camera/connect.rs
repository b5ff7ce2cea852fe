//! From a camera's host and port to a connected socket, within one time limit.

use super::Error;
use crate::{
    http::url::Target,
    limits,
    runtime::{self, Async},
};
use std::{
    io,
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    pin::Pin,
    time::Instant,
};

/// Connects to one camera, over all attempts.
pub struct Connector {
    host: String,
    port: u16,
    /// Continues from one attempt to the next: a slow name server is asked once, and its answer
    /// counts whenever it comes.
    lookup: Option<Lookup>,
}

type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>>>>;

pub type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Async<TcpStream>, Error>> + 'a>>;

impl Connector {
    pub fn new(target: &Target) -> Connector {
        Connector { host: target.host().to_owned(), port: target.port(), lookup: None }
    }

    /// Connects within [`limits::CONNECT_TIMEOUT`], which the name lookup and all addresses share.
    /// Cancel-safe: the lookup continues, the connection is dropped.
    ///
    /// # Errors
    /// `Resolve`, `ResolveTimeout`, and `Connect` or `ConnectTimeout` of the last address tried.
    pub fn connect(&mut self) -> Connecting<'_> {
        // Boxed, so that its code is in the binary once and not for each caller.
        Box::pin(self.try_addresses())
    }

    async fn try_addresses(&mut self) -> Result<Async<TcpStream>, Error> {
        let deadline = runtime::now() + limits::CONNECT_TIMEOUT;
        let addresses = self.addresses().await?;
        let mut failure = self.unknown(io::ErrorKind::NotFound.into());
        for (index, &address) in addresses.iter().enumerate() {
            // Each address gets a share: the first may be unreachable (IPv6 without a router).
            let left = u32::try_from(addresses.len() - index).unwrap_or(1);
            match connect_until(address, share(deadline, left)).await {
                Ok(socket) => return Ok(socket),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn addresses(&mut self) -> Result<Vec<SocketAddr>, Error> {
        // A literal address needs no lookup thread.
        if let Ok(address) = self.host.parse() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        let (host, port) = (self.host.clone(), self.port);
        let lookup = self.lookup.get_or_insert_with(|| {
            Box::pin(runtime::unblock(move || {
                let found = (host.as_str(), port).to_socket_addrs()?;
                Ok(found.take(limits::CONNECT_ADDRESSES_MAX).collect())
            }))
        });
        match runtime::timeout(limits::CONNECT_TIMEOUT, lookup).await {
            None => Err(Error::ResolveTimeout { host: self.host.clone() }),
            Some(found) => {
                self.lookup = None;
                found.map_err(|source| self.unknown(source))
            }
        }
    }

    fn unknown(&self, source: io::Error) -> Error {
        Error::Resolve { host: self.host.clone(), source }
    }
}

/// When the next of `left` addresses has used up its share of the time.
fn share(deadline: Instant, left: u32) -> Instant {
    let now = runtime::now();
    now + deadline.saturating_duration_since(now) / left.max(1)
}

async fn connect_until(address: SocketAddr, deadline: Instant) -> Result<Async<TcpStream>, Error> {
    let limit = deadline.saturating_duration_since(runtime::now());
    let connected = runtime::timeout(limit, Async::connect(address)).await;
    let socket = connected
        .ok_or(Error::ConnectTimeout(address))?
        .map_err(|source| Error::Connect { address, source })?;
    // Fixed, whatever the board's default is. If it is refused, the camera is slowed down a little
    // earlier.
    let bytes = limits::CAMERA_RECEIVE_BYTES;
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(socket.get_ref(), bytes);
    let _ = socket.get_ref().set_nodelay(true);
    watch_life(socket.get_ref());
    Ok(socket)
}

/// Enables TCP keepalive: a camera that lost power is detected within seconds, however long the
/// next reply or frame may take. If that is refused, only the timeouts apply.
fn watch_life(socket: &TcpStream) {
    use rustix::net::sockopt;
    let _ = sockopt::set_socket_keepalive(socket, true);
    let _ = sockopt::set_tcp_keepidle(socket, limits::TCP_KEEPALIVE_IDLE);
    let _ = sockopt::set_tcp_keepintvl(socket, limits::TCP_KEEPALIVE_INTERVAL);
    let _ = sockopt::set_tcp_keepcnt(socket, limits::TCP_KEEPALIVE_TRIES);
    let unconfirmed = limits::TCP_CONFIRM_TIMEOUT.as_millis();
    let _ = sockopt::set_tcp_user_timeout(socket, u32::try_from(unconfirmed).unwrap_or(u32::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::LocalExecutor;
    use std::{net::TcpListener, sync::mpsc};

    fn connect(connector: &mut Connector) -> Result<Async<TcpStream>, Error> {
        runtime::block_on(&LocalExecutor::new(), connector.connect())
    }

    fn target(host: &str, port: u16) -> Target {
        format!("rtsp://{host}:{port}/").parse().unwrap()
    }

    #[test]
    fn a_name_with_several_addresses_is_tried_to_the_last() {
        // The listener is on one of the two usual addresses of `localhost`.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut connector = Connector::new(&target("localhost", port));
        assert!(connect(&mut connector).is_ok());
        connector.lookup = Some(Box::pin(async move {
            Ok(vec!["[::1]:9".parse().unwrap(), SocketAddr::from(([127, 0, 0, 1], port))])
        }));
        assert!(connect(&mut connector).is_ok());
    }

    #[test]
    fn addresses_share_the_time_of_one_connect() {
        let now = runtime::now();
        let half = share(now + limits::CONNECT_TIMEOUT, 2) - now;
        assert!(half <= limits::CONNECT_TIMEOUT / 2 + limits::CONNECT_TIMEOUT / 10, "{half:?}");
        assert!(share(now, 3) <= runtime::now(), "no time is left");
    }

    #[test]
    fn a_slow_lookup_goes_on_during_the_next_try() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answer, name_server) = mpsc::channel();
        let mut connector = Connector::new(&target("camera.test", port));
        connector.lookup =
            Some(Box::pin(runtime::unblock(move || Ok(vec![name_server.recv().unwrap()]))));
        let error = connect(&mut connector).unwrap_err();
        assert!(matches!(error, Error::ResolveTimeout { .. }), "{error}");
        answer.send(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
        assert!(connect(&mut connector).is_ok());
    }

    #[test]
    fn a_closed_port_is_named_with_its_address() {
        let port = TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap().port();
        let error = connect(&mut Connector::new(&target("[::1]", port))).unwrap_err();
        let expected = format!("[::1]:{port} cannot be reached: nothing is listening on that port");
        assert_eq!(error.to_string(), expected);
    }
}
