//! Certificates for the tests of this room, made when they are needed.

use std::{fs, path::PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use tempfile::TempDir;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // No two are called alike: one is looked for by its name.
        let name = folder.path().display().to_string();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self {
            pem: params.self_signed(&key).unwrap().pem(),
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    /// The files of a certificate for this name: itself, its key, and the authority.
    pub(crate) fn files(&self, uri: &str) -> [PathBuf; 3] {
        self.write(uri, false)
    }

    /// Of one that was over long ago.
    pub(crate) fn expired_files(&self, uri: &str) -> [PathBuf; 3] {
        self.write(uri, true)
    }

    fn write(&self, uri: &str, is_expired: bool) -> [PathBuf; 3] {
        let mut params = CertificateParams::default();
        let name = SanType::URI(uri.try_into().unwrap());
        params.subject_alt_names.push(name);
        if is_expired {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2001, 2, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let texts = [certificate, key.serialize_pem(), self.pem.clone()];
        let stem = uri.rsplit('/').next().unwrap();
        let paths =
            ["pem", "key", "ca"].map(|kind| self.folder.path().join(format!("{stem}.{kind}")));
        for (path, text) in paths.iter().zip(texts) {
            fs::write(path, text).unwrap();
        }
        paths
    }
}
