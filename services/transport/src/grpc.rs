//! gRPC between the services: mutual TLS, or plainly on one machine.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::Uri;
use hyper_util::rt::TokioIo;
use paymesh_contracts::callers::Service;
use paymesh_operations::Settings;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Channel, Endpoint, Server},
};

use crate::{
    accept::{encrypted, plain},
    connection::Connection,
    files::{Files, Renewed},
    guard::Guards,
    line::Line,
    mutual::Mutual,
    reason::reason,
    traces::Continue,
};

/// How long a connection may take to be opened, its handshake included.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How often a silent peer is asked whether it is there, and how long it has to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long calls have to end when the connection they came over is old: as long as the longest may
/// take. Streams have no end, and are opened anew.
const CONNECTION_GRACE: Duration = Duration::from_secs(30);

const PLAINTEXT: &str = "PAYMESH_GRPC_PLAINTEXT";
const CERTIFICATE: &str = "PAYMESH_TLS_CERTIFICATE";
const KEY: &str = "PAYMESH_TLS_KEY";
const AUTHORITIES: &str = "PAYMESH_TLS_CA";

/// How a service speaks gRPC.
pub enum Grpc {
    /// Without TLS, on one machine.
    Plaintext,
    /// With a certificate of its own.
    Mutual(Files<Mutual>),
}

impl Grpc {
    /// Reads how `service` speaks gRPC.
    pub fn read(settings: &mut Settings, service: Service) -> Option<Self> {
        let is_plain = settings.optional(
            PLAINTEXT,
            "`true` has gRPC go without TLS, which is for one machine",
            false,
        );
        let names = [CERTIFICATE, KEY, AUTHORITIES];
        if is_plain {
            let given: Vec<&str> = names
                .into_iter()
                .filter(|name| settings.has(name))
                .collect();
            if given.is_empty() {
                return Some(Self::Plaintext);
            }
            let given = given.join(", ");
            settings.mistake(format!("{PLAINTEXT} and {given} exclude each other"));
            return None;
        }
        let mut file = |name, meaning: &str| -> Option<PathBuf> {
            let meaning =
                format!("{meaning}, as a file in PEM; or {PLAINTEXT}=true on one machine");
            settings.required(name, &meaning)
        };
        let certificate = file(CERTIFICATE, "the certificate by which the others know us");
        let key = file(KEY, "its key");
        let authorities = file(
            AUTHORITIES,
            "the authorities whose certificates are believed",
        );
        match Mutual::files(service, certificate?, key?, authorities?) {
            Ok(files) => Some(Self::Mutual(files)),
            Err(mistakes) => {
                for mistake in mistakes {
                    settings.mistake(format!("{CERTIFICATE}, {KEY}, {AUTHORITIES}: {mistake}"));
                }
                None
            }
        }
    }

    /// Reads where gRPC is served.
    pub fn listen(settings: &mut Settings, grpc: Option<&Self>) -> Option<SocketAddr> {
        let name = "PAYMESH_LISTEN";
        let address: SocketAddr = settings.required(name, "where gRPC is served, as IP:PORT")?;
        if matches!(grpc, Some(Self::Plaintext)) && !address.ip().is_loopback() {
            settings.mistake(format!(
                "{name} is not loopback: whoever can connect may move money, so give {CERTIFICATE}, {KEY} \
                 and {AUTHORITIES} instead of {PLAINTEXT}"
            ));
            return None;
        }
        Some(address)
    }

    /// Reads how long a connection lives that is served.
    pub fn connection_max(settings: &mut Settings) -> Duration {
        settings.milliseconds(
            "PAYMESH_GRPC_CONNECTION_MS_MAX",
            "after how long a connection ends and its peer has to show its certificate again, in \
             milliseconds",
            3_600_000,
        )
    }

    /// Serves `routes` to those who come to `listener` until `stop` is cancelled, each call only to
    /// those who may make it. A connection lives for `connection_max`; then it takes no more calls,
    /// and those under way have a moment to end.
    pub async fn serve(
        self,
        listener: TcpListener,
        connection_max: Duration,
        routes: Routes,
        stop: CancellationToken,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let address = listener.local_addr()?;
        let stopped = stop.cancelled_owned();
        let server = Server::builder().max_connection_age(connection_max);
        let lives_for = connection_max.saturating_add(CONNECTION_GRACE);
        let serve = |guards| server.layer(guards).layer(Continue).add_routes(routes);
        match self {
            Self::Plaintext => {
                tracing::warn!(%address, "serves gRPC without TLS, to whoever is on this machine");
                let incoming = local(listener, lives_for);
                let serve = serve(Guards::of(None));
                serve
                    .serve_with_incoming_shutdown(incoming, stopped)
                    .await?;
            }
            Self::Mutual(files) => {
                let identity = files.made().identity.to_string();
                tracing::info!(%address, identity, "serves gRPC");
                let mutual = files.follow();
                let guards = Guards::of(Some(mutual.clone()));
                let taken = encrypted(listener, move || mutual.now().server.clone());
                let incoming = ReceiverStream::new(taken)
                    .map(|(stream, _)| io::Result::Ok(Connection::of_peer(stream, lives_for)));
                let serve = serve(guards);
                serve
                    .serve_with_incoming_shutdown(incoming, stopped)
                    .await?;
            }
        }
        Ok(())
    }
}

/// The connections of a listener, one after the other.
fn local(listener: TcpListener, lives_for: Duration) -> impl Stream<Item = io::Result<Connection>> {
    let (out, taken) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let (socket, _) = tokio::select! {
                () = out.closed() => return,
                taken = plain(&listener) => taken,
            };
            let _ = out.send(Ok(Connection::local(socket, lives_for))).await;
        }
    });
    ReceiverStream::new(taken)
}

/// db-controller, as others reach it.
pub struct Controller {
    endpoint: Endpoint,
    /// Whom to ask, where.
    place: (String, u16),
    grpc: Grpc,
}

impl Controller {
    /// Reads where db-controller is and how `service` reaches it.
    pub fn read(settings: &mut Settings, service: Service) -> Option<Self> {
        let grpc = Grpc::read(settings, service);
        let name = "PAYMESH_CONTROLLER_URL";
        let url: Uri = settings.required(name, "db-controller, as https://HOST:PORT")?;
        let host = url.host().unwrap_or_default();
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let is_here = host == "localhost"
            || host
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback());
        let (scheme, port) = match grpc.as_ref()? {
            Grpc::Plaintext if !is_here => {
                settings.mistake(format!(
                    "{name} is not loopback: give {CERTIFICATE}, {KEY} and {AUTHORITIES} instead of {PLAINTEXT}"
                ));
                return None;
            }
            Grpc::Plaintext => ("http", 80),
            Grpc::Mutual(_) => ("https", 443),
        };
        if url.scheme_str() != Some(scheme) {
            settings.mistake(format!("{name} does not begin with {scheme}://"));
            return None;
        }
        let port = url.port_u16().unwrap_or(port);
        Some(Self {
            endpoint: Endpoint::from(url),
            place: (host, port),
            grpc: grpc?,
        })
    }

    /// Lines to it, each with a limit for every call or none. They connect when they are used.
    pub fn lines<const N: usize>(self, limits: [Option<Duration>; N]) -> [Line; N] {
        let endpoint = self
            .endpoint
            .connect_timeout(CONNECT_MAX)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .tcp_nodelay(true);
        let mutual = match self.grpc {
            Grpc::Plaintext => None,
            Grpc::Mutual(files) => Some(files.follow()),
        };
        limits.map(|limit| {
            let endpoint = match limit {
                Some(limit) => endpoint.clone().timeout(limit),
                None => endpoint.clone(),
            };
            Line::over(match mutual.clone() {
                None => endpoint.connect_lazy(),
                Some(mutual) => connect(&endpoint, self.place.clone(), mutual),
            })
        })
    }
}

/// A channel whose every connection is opened with the certificates of that moment.
fn connect(endpoint: &Endpoint, place: (String, u16), mutual: Renewed<Mutual>) -> Channel {
    // Why the last one was not opened: told once, however often it is tried.
    let told = Arc::new(Mutex::new(None));
    endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let (place, config, told) = (place.clone(), mutual.now().client.clone(), told.clone());
        async move {
            let opened = open(place, config).await;
            let failed = opened.as_ref().err().map(reason);
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            if *told != failed {
                if let Some(reason) = &failed {
                    tracing::warn!(reason, "no connection to db-controller");
                }
                *told = failed;
            }
            opened.map(TokioIo::new)
        }
    }))
}

async fn open(
    (host, port): (String, u16),
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect((host, port)).await?;
    socket.set_nodelay(true)?;
    // By whichever name it is reached, its certificate says who it is.
    let name = ServerName::try_from(Service::DbController.name()).map_err(io::Error::other)?;
    TlsConnector::from(config).connect(name, socket).await
}

#[cfg(test)]
mod tests {
    use paymesh_operations::SettingsError;

    use super::*;
    use crate::fixture::Authority;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn settings(pairs: Pairs) -> Settings {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let pairs: std::collections::HashMap<_, _> = pairs.iter().map(owned).collect();
        Settings::new(move |name| pairs.get(name).cloned())
    }

    fn check_server(pairs: Pairs, mistakes: &[&str]) {
        let mut settings = settings(pairs);
        let grpc = Grpc::read(&mut settings, Service::DbController);
        let listen = Grpc::listen(&mut settings, grpc.as_ref());
        let said = settings.done(grpc.zip(listen)).err();
        check(said, mistakes);
    }

    fn check_client(pairs: Pairs, mistakes: &[&str]) {
        let mut settings = settings(pairs);
        let controller = Controller::read(&mut settings, Service::PaymentApi);
        check(settings.done(controller).err(), mistakes);
    }

    /// Each mistake begins as it should, and there is no other.
    fn check(said: Option<SettingsError>, mistakes: &[&str]) {
        let said = said.map(|said| said.0).unwrap_or_default();
        let begins = |(said, start): (&String, &&str)| said.starts_with(start);
        assert!(
            said.len() == mistakes.len() && said.iter().zip(mistakes).all(begins),
            "{said:?}"
        );
    }

    const PLAIN: (&str, &str) = (PLAINTEXT, "true");

    #[test]
    fn without_tls_there_is_loopback_only_and_only_when_it_is_asked_for() {
        check_server(&[PLAIN, ("PAYMESH_LISTEN", "127.0.0.1:1")], &[]);
        check_server(&[PLAIN, ("PAYMESH_LISTEN", "[::1]:1")], &[]);
        check_server(
            &[PLAIN, ("PAYMESH_LISTEN", "10.0.0.1:1")],
            &["PAYMESH_LISTEN is not loopback"],
        );
        check_server(
            &[("PAYMESH_LISTEN", "nowhere")],
            &[
                "PAYMESH_TLS_CERTIFICATE is missing",
                "PAYMESH_TLS_KEY is missing",
                "PAYMESH_TLS_CA is missing",
                "PAYMESH_LISTEN cannot be read",
            ],
        );
        let url = |url| [PLAIN, ("PAYMESH_CONTROLLER_URL", url)];
        check_client(&url("http://127.0.0.1:1"), &[]);
        check_client(&url("http://[::1]:1"), &[]);
        check_client(&url("http://localhost:1"), &[]);
        check_client(
            &url("http://10.0.0.1:1"),
            &["PAYMESH_CONTROLLER_URL is not loopback"],
        );
        check_client(
            &url("http://localhost.example:1"),
            &["PAYMESH_CONTROLLER_URL is not loopback"],
        );
        check_client(
            &url("https://127.0.0.1:1"),
            &["PAYMESH_CONTROLLER_URL does not begin with http://"],
        );
    }

    #[test]
    fn with_tls_everything_is_under_it() {
        let authority = Authority::new();
        let files = authority.files("spiffe://pay.example/payment-api");
        let files = files.map(|path| path.to_str().unwrap().to_owned());
        let [certificate, key, ca] = &files;
        let url = |url| {
            [
                (CERTIFICATE, certificate.as_str()),
                (KEY, key.as_str()),
                (AUTHORITIES, ca.as_str()),
                ("PAYMESH_CONTROLLER_URL", url),
            ]
        };
        check_client(&url("https://db-controller:1"), &[]);
        check_client(
            &url("http://db-controller:1"),
            &["PAYMESH_CONTROLLER_URL does not begin with https://"],
        );
        let both = [&url("https://db-controller:1")[..], &[PLAIN]].concat();
        check_client(
            &both,
            &["PAYMESH_GRPC_PLAINTEXT and PAYMESH_TLS_CERTIFICATE, PAYMESH_TLS_KEY"],
        );
        let gone = [
            (CERTIFICATE, "/no/such"),
            (KEY, "/no/key"),
            (AUTHORITIES, ca.as_str()),
        ];
        let gone = [
            &gone[..],
            &[("PAYMESH_CONTROLLER_URL", "https://db-controller:1")],
        ]
        .concat();
        check_client(
            &gone,
            &[
                "PAYMESH_TLS_CERTIFICATE, PAYMESH_TLS_KEY, PAYMESH_TLS_CA: the file of the certificate cannot be read",
                "PAYMESH_TLS_CERTIFICATE, PAYMESH_TLS_KEY, PAYMESH_TLS_CA: the file of the key cannot be read",
            ],
        );
        check_server(
            &url("")[..3],
            &[
                "PAYMESH_TLS_CERTIFICATE, PAYMESH_TLS_KEY, PAYMESH_TLS_CA: the certificate: it is of spiffe://pay.example/payment-api, and this is db-controller",
                "PAYMESH_LISTEN is missing",
            ],
        );
    }
}
