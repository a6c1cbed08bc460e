//! What a service needs for mutual TLS: its certificate, its key, and the authorities it trusts.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use paymesh_contracts::callers::Service;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
    version::TLS13,
};

use crate::{
    files::Files,
    identity::Identity,
    pem,
    reason::explained,
    verify::{Asked, Callers, Servers},
};

/// gRPC is HTTP/2.
const PROTOCOL: &[u8] = b"h2";

/// Both sides of mutual TLS.
pub struct Mutual {
    pub(crate) identity: Identity,
    /// Lets in whoever has an identity.
    pub(crate) server: Arc<ServerConfig>,
    /// Speaks to db-controller only.
    pub(crate) client: Arc<ClientConfig>,
    /// When its certificate is over, in seconds since 1970.
    expires: i64,
}

impl Mutual {
    /// Reads the three files of a service.
    pub fn files(
        service: Service,
        certificate: PathBuf,
        key: PathBuf,
        authorities: PathBuf,
    ) -> Result<Files<Self>, Vec<String>> {
        // A process stays who it is: what it was let in for is open, and nobody was asked again.
        let running = OnceLock::new();
        let files = vec![
            ("certificate", certificate),
            ("key", key),
            ("authorities", authorities),
        ];
        Files::read("grpc", files, move |texts| {
            let mutual = Self::new(service, &texts[0], &texts[1], &texts[2])?;
            let (is, was) = (
                &mutual.identity,
                running.get_or_init(|| mutual.identity.clone()),
            );
            if is != was {
                return Err(vec![format!(
                    "the certificate: it is of {is}, and this process is {was} until it is started again"
                )]);
            }
            let expires = mutual.expires;
            Ok((mutual, expires))
        })
    }

    fn new(
        service: Service,
        certificate: &[u8],
        key: &[u8],
        authorities: &[u8],
    ) -> Result<Self, Vec<String>> {
        let mut mistakes = Vec::new();
        let mut note = |mistake| mistakes.push(mistake);
        let chain = pem::chain(certificate).map_err(&mut note).ok();
        let key = pem::key(key).map_err(&mut note).ok();
        let roots = pem::roots(authorities).map_err(&mut note).ok();
        match (chain, key, roots) {
            (Some(chain), Some(key), Some(roots)) => {
                Self::of(service, chain, key, roots).map_err(|mistake| vec![mistake])
            }
            _ => Err(mistakes),
        }
    }

    fn of(
        service: Service,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        roots: RootCertStore,
    ) -> Result<Self, String> {
        let of_ours = |reason: &dyn std::fmt::Display| format!("the certificate: {reason}");
        let identity = Identity::of(&chain[0]).map_err(|nobody| of_ours(&nobody))?;
        if identity.service() != service.name() {
            let name = service.name();
            return Err(of_ours(&format!("it is of {identity}, and this is {name}")));
        }
        let expires = pem::expires(&chain)?;
        let crypto = Arc::new(aws_lc_rs::default_provider());
        let roots = Arc::new(roots);
        let callers = Arc::new(Callers::of(roots.clone(), crypto.clone())?);
        let controller = identity.neighbour(Service::DbController.name());
        let servers = Arc::new(Servers {
            asked: Asked::Service(roots, controller),
            crypto: crypto.clone(),
        });
        // What peers would refuse is not shown to them: they have the same authorities.
        let (first, others) = chain.split_first().ok_or("there is no certificate")?;
        let holds = match service {
            Service::DbController => servers.holds(first, others),
            Service::PaymentApi | Service::PaymentProcessor => callers.holds(first, others),
        };
        holds.map_err(|reason| of_ours(&explained(&reason)))?;
        let mut server = ServerConfig::builder_with_provider(crypto.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(|reason| reason.to_string())?
            .with_client_cert_verifier(callers)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(|reason| of_ours(&reason))?;
        server.alpn_protocols = vec![PROTOCOL.to_vec()];
        // A session that goes on would not show its certificate again.
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(crypto)
            .with_protocol_versions(&[&TLS13])
            .map_err(|reason| reason.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(servers)
            .with_client_auth_cert(chain, key)
            .map_err(|reason| of_ours(&reason))?;
        client.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Self {
            identity,
            server: Arc::new(server),
            client: Arc::new(client),
            expires,
        })
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;
    use crate::{fixture::Authority, reason::reason};

    fn mutual(authority: &Authority, service: Service, domain: &str) -> Mutual {
        let uri = format!("spiffe://{domain}/{}", service.name());
        let texts = authority
            .files(&uri)
            .map(|path| std::fs::read(path).unwrap());
        Mutual::new(service, &texts[0], &texts[1], &texts[2]).unwrap_or_else(|_| panic!("{uri}"))
    }

    /// What a client makes of a server, and who it is to the server.
    async fn meet(server: &Mutual, client: &Mutual) -> Result<Identity, String> {
        let (ours, theirs) = tokio::io::duplex(65_536);
        let acceptor = TlsAcceptor::from(server.server.clone());
        let accepted = tokio::spawn(async move { acceptor.accept(ours).await });
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(client.client.clone());
        let connected = connector.connect(name, theirs).await;
        connected.map_err(|error| reason(&error))?;
        let accepted = accepted.await.unwrap().map_err(|error| reason(&error))?;
        let shown = accepted.get_ref().1.peer_certificates().unwrap();
        Ok(Identity::of(&shown[0]).unwrap())
    }

    #[tokio::test]
    async fn services_of_one_domain_know_each_other_by_name() {
        let authority = Authority::new();
        let server = mutual(&authority, Service::DbController, "pay.example");
        for service in [Service::PaymentApi, Service::PaymentProcessor] {
            let client = mutual(&authority, service, "pay.example");
            let met = meet(&server, &client).await.unwrap();
            assert_eq!(met, client.identity);
        }
    }

    #[tokio::test]
    async fn nobody_else_is_taken_for_db_controller() {
        let authority = Authority::new();
        let client = mutual(&authority, Service::PaymentProcessor, "pay.example");
        let expected = "spiffe://pay.example/db-controller";
        for (service, domain) in [
            (Service::PaymentApi, "pay.example"),
            (Service::DbController, "other.example"),
        ] {
            let server = mutual(&authority, service, domain);
            let is = &server.identity;
            let text = format!("its certificate is refused: it is {is}, not {expected}");
            assert_eq!(meet(&server, &client).await, Err(text));
        }
        let stranger = mutual(&Authority::new(), Service::DbController, "pay.example");
        let text = "its certificate is refused: it is of no authority that is trusted here";
        assert_eq!(meet(&stranger, &client).await, Err(text.to_owned()));
    }

    fn check_mistakes(texts: [&[u8]; 3], expected: &[&str]) {
        let service = Service::PaymentApi;
        let mistakes = Mutual::new(service, texts[0], texts[1], texts[2]).err();
        assert_eq!(mistakes.unwrap_or_default(), expected);
    }

    #[test]
    fn a_process_stays_who_it_is_when_its_files_are_renewed() {
        let authority = Authority::new();
        let renew = |domain: &str| authority.files(&format!("spiffe://{domain}/payment-api"));
        let [certificate, key, ca] = renew("pay.example");
        let mut files = Mutual::files(Service::PaymentApi, certificate, key, ca).unwrap();
        renew("pay.example");
        assert_eq!(files.look(), Ok(true));
        renew("other.example");
        let text = "the certificate: it is of spiffe://other.example/payment-api, and this process is \
            spiffe://pay.example/payment-api until it is started again";
        assert_eq!(files.look(), Err(vec![text.to_owned()]));
        let shown = files.made().identity.to_string();
        assert_eq!(shown, "spiffe://pay.example/payment-api");
        renew("pay.example");
        assert_eq!(files.look(), Ok(true));
    }

    #[test]
    fn everything_that_is_wrong_with_the_files_is_told_and_nothing_that_they_hold() {
        let (authority, other) = (Authority::new(), Authority::new());
        let read = |paths: [PathBuf; 3]| paths.map(|path| std::fs::read(path).unwrap());
        let uri = "spiffe://pay.example/payment-api";
        let [certificate, key, ca] = read(authority.files(uri));
        check_mistakes([&certificate, &key, &ca], &[]);
        check_mistakes(
            [b"hunter2", b"-----BEGIN PRIVATE KEY-----\nhunter2", &key],
            &[
                "the file of the certificate holds none in PEM",
                "the file of the key holds no private key in PEM",
                "the file of the authorities holds none in PEM",
            ],
        );
        let [another, _, elsewhere] = read(other.files(uri));
        let text = "the certificate: it is of no authority that is trusted here";
        check_mistakes([&certificate, &key, &elsewhere], &[text]);
        check_mistakes([&another, &key, &ca], &[text]);
        let [_, another_key, _] = read(authority.files(uri));
        let text = "the certificate: keys may not be consistent: KeyMismatch";
        check_mistakes([&certificate, &another_key, &ca], &[text]);
        let [processor, key, ca] = read(authority.files("spiffe://pay.example/payment-processor"));
        let text = "the certificate: it is of spiffe://pay.example/payment-processor, and this is payment-api";
        check_mistakes([&processor, &key, &ca], &[text]);
        let [expired, key, ca] = read(authority.expired_files(uri));
        let mistakes = Mutual::new(Service::PaymentApi, &expired, &key, &ca)
            .err()
            .unwrap();
        let text = "the certificate is over since Feb  1 00:00:00 2001 +00:00";
        assert_eq!(mistakes, [text]);
    }
}
