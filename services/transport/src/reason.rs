//! Why a certificate or a handshake was refused, for a log.

use std::io;

use rustls::{CertificateError, Error, OtherError};

/// Why a handshake failed. Nothing in it was chosen by the other side but the name in its certificate.
pub(crate) fn reason(error: &io::Error) -> String {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(of @ Error::InvalidCertificate(_)) => {
            format!("its certificate is refused: {}", explained(of))
        }
        Some(of) => explained(of),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it went away in the middle of the handshake".to_owned()
        }
        None => error.to_string(),
    }
}

/// What is wrong, in words.
pub(crate) fn explained(error: &Error) -> String {
    match error {
        Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        Error::NoCertificatesPresented => "it shows no certificate".to_owned(),
        Error::AlertReceived(alert) => format!("it refuses our certificate ({alert:?})"),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "it is of no authority that is trusted here".to_owned()
        }
        Error::InvalidCertificate(CertificateError::Other(OtherError(of))) => of.to_string(),
        Error::InvalidCertificate(of) => of.to_string(),
        of => of.to_string(),
    }
}
