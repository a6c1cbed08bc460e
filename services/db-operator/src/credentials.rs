//! The credentials of a role: one of its two logins, and a password, in a Secret.
//!
//! The Secret is what is true; PostgreSQL follows it. A rotation gives the *other* login a new
//! password and then writes both into the Secret, in one request, so whoever reads it has a pair
//! that works, before and after. Connections and the password of the login before live on until the
//! next rotation, which is the other's turn again. A run that is killed between the two writes has
//! changed a login that nobody uses.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    ByteString,
    api::core::v1::Secret as KubeSecret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{
    Api,
    api::{DeleteParams, PostParams, Preconditions},
};
use paymesh_operations::Secret;
use tokio_postgres::error::SqlState;

use crate::{
    crd::{DatabaseSpec, GROUP, RoleSpec, RoleStatus},
    failure::Failure,
    mark::{Mark, Whose},
    password::{new_password, verifier},
    problem::{Kind, Problem},
    roles::{acts_as, end_connections, logins},
    server::{Server, Session, name, text},
};

/// Whose a Secret is.
const OWNED_BY: &str = "paymesh.dev/database";
const ROTATED_AT: &str = "paymesh.dev/rotated-at";
const REVISION: &str = "paymesh.dev/rotation-revision";

/// What is said if somebody else changes the row of a login: they have it, each waits for the other,
/// or they were faster.
const ROW_IS_HELD: [SqlState; 3] = [
    SqlState::LOCK_NOT_AVAILABLE,
    SqlState::T_R_DEADLOCK_DETECTED,
    SqlState::INTERNAL_ERROR,
];

/// What is at hand to keep credentials.
pub(crate) struct Keeper<'a> {
    pub(crate) secrets: &'a Api<KubeSecret>,
    pub(crate) server: &'a Server,
    pub(crate) session: &'a Session,
    pub(crate) spec: &'a DatabaseSpec,
    pub(crate) mark: &'a Mark,
    /// How long a password is used.
    pub(crate) after: Option<SignedDuration>,
}

/// What was done for a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Nothing,
    /// A login has a new password.
    Rotated,
    /// What others changed is as it was.
    Mended,
}

/// What a Secret of ours holds.
pub struct Held {
    /// Which of the role's two logins.
    pub login: String,
    /// Its password, of letters that stand for themselves in a URI.
    pub password: Secret,
    /// When it was made.
    pub rotated_at: Timestamp,
    /// The revision that it was made for.
    pub revision: String,
}

impl Keeper<'_> {
    /// Makes the Secret of a role, rotates it when it is time, mends what others changed.
    pub(crate) async fn ensure(
        &self,
        role: &RoleSpec,
        before: Option<&RoleStatus>,
    ) -> Result<Result<(RoleStatus, Done), Problem>, Failure> {
        let found = self.read(&role.secret_name).await?;
        if let Some(secret) = &found
            && let Whose::Others(words) = self.whose(secret)
        {
            return Ok(Err(Problem::not_ours(
                Kind::Credentials,
                &format!("the Secret {}", role.secret_name),
                words.as_deref(),
                &format!(
                    "kubectl annotate secret {} '{OWNED_BY}={}'",
                    role.secret_name,
                    self.mark.released()
                ),
            )));
        }
        let held = found.as_ref().and_then(|secret| held(secret, role));
        let is_due = held.as_ref().is_none_or(|held| self.is_due(held));
        let (held, done) = if is_due {
            let before = held
                .as_ref()
                .map(|held| &held.login)
                .or(before.map(|before| &before.login));
            (self.rotate(role, before, found).await?, Done::Rotated)
        } else {
            let held = held.expect("else it would be due");
            let done = self.mend(role, &held, found).await?;
            (held, done)
        };
        let status = RoleStatus {
            name: role.name.clone(),
            secret_name: role.secret_name.clone(),
            login: held.login,
            last_rotation_time: Time(held.rotated_at),
        };
        Ok(Ok((status, done)))
    }

    fn is_due(&self, held: &Held) -> bool {
        let now = Timestamp::now();
        let is_over = self
            .after
            .is_some_and(|after| due_at(held.rotated_at, after, now) <= now);
        is_over || held.revision != self.spec.rotation.revision.to_string()
    }

    async fn rotate(
        &self,
        role: &RoleSpec,
        before: Option<&String>,
        found: Option<KubeSecret>,
    ) -> Result<Held, Failure> {
        let [a, b] = logins(&role.name);
        let login = if before == Some(&a) { b } else { a };
        let held = Held {
            login,
            password: new_password(),
            // As precise as it is written.
            rotated_at: Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default(),
            revision: self.spec.rotation.revision.to_string(),
        };
        // A login may change its own password, and keep its row locked while it does.
        let first = end_connections(&held.login);
        self.set_password(role, &held, &first).await?;
        self.end_connections(&held.login).await?;
        // What does not work is not published.
        self.prove(&held).await?;
        self.put(role, &held, found).await?;
        Ok(held)
    }

    async fn mend(
        &self,
        role: &RoleSpec,
        held: &Held,
        found: Option<KubeSecret>,
    ) -> Result<Done, Failure> {
        let mut done = Done::Nothing;
        let wanted = self.secret(role, held);
        let is_so = found.as_ref().is_some_and(|found| {
            let mark = |secret: &KubeSecret| annotation(secret, OWNED_BY).map(ToOwned::to_owned);
            found.data == wanted.data && mark(found) == mark(&wanted)
        });
        if !is_so {
            self.put(role, held, found).await?;
            done = Done::Mended;
        }
        let is_accepted = match self.accepts(held).await {
            // What a login keeps its password as can be what is not answered here: MD5, or more
            // rounds than the library counts.
            Err(Failure::Postgres { .. }) => false,
            tried => tried?,
        };
        if !is_accepted {
            match self.set_password(role, held, "").await {
                // Programs use this login, and lose their connections for that only.
                Err(failure) if failure.has_code(&ROW_IS_HELD) => {
                    let first = end_connections(&held.login);
                    self.set_password(role, held, &first).await?;
                }
                written => written?,
            }
            self.prove(held).await?;
            done = Done::Mended;
        }
        Ok(done)
    }

    async fn accepts(&self, held: &Held) -> Result<bool, Failure> {
        self.server
            .accepts(&self.spec.name, &held.login, &held.password)
            .await
    }

    /// That a login is let in with the password that it was just given.
    async fn prove(&self, held: &Held) -> Result<(), Failure> {
        if self.accepts(held).await? {
            return Ok(());
        }
        Err(Failure::Refused(format!(
            "{} cannot log in with the password that it was just given: look into pg_hba.conf",
            held.login
        )))
    }

    /// Gives a login a password, after what is done `first`, and takes back the settings that who
    /// logged in by it may have left.
    async fn set_password(&self, role: &RoleSpec, held: &Held, first: &str) -> Result<(), Failure> {
        let (login, of) = (name(&held.login), name(&self.spec.name));
        let statements = format!(
            "{first}
            alter role {login} reset all;
            alter role {login} in database {of} reset all;
            alter role {login} in database {of} set role to {};
            alter role {login} password {};",
            text(acts_as(self.spec, role)),
            text(&verifier(&held.password))
        );
        let what = format!("password of {}", held.login);
        self.session.write(&what, &statements).await
    }

    /// Ends what is still connected with the password before last.
    async fn end_connections(&self, login: &str) -> Result<(), Failure> {
        let query = "select 1 from pg_stat_activity where usename = $1";
        let open = self.session.read("connections", query, &[&login]).await?;
        if open.is_empty() {
            return Ok(());
        }
        let what = format!("connections of {login} end");
        self.session.write(&what, &end_connections(login)).await
    }

    async fn read(&self, secret: &str) -> Result<Option<KubeSecret>, Failure> {
        let what = format!("the Secret {secret} could not be read");
        let found = self.secrets.get_opt(secret).await;
        found.map_err(Failure::kubernetes(what))
    }

    fn whose(&self, secret: &KubeSecret) -> Whose {
        self.mark.read(annotation(secret, OWNED_BY))
    }

    /// Writes a Secret, unless somebody else wrote it since it was read.
    async fn put(
        &self,
        role: &RoleSpec,
        held: &Held,
        found: Option<KubeSecret>,
    ) -> Result<(), Failure> {
        let mut secret = self.secret(role, held);
        let what = format!("the Secret {} could not be written", role.secret_name);
        let parameters = PostParams::default();
        let written = if let Some(found) = found {
            // Labels and annotations of others stay.
            let ours = std::mem::take(&mut secret.metadata);
            secret.metadata = found.metadata;
            let annotations = secret.metadata.annotations.get_or_insert_default();
            annotations.extend(ours.annotations.unwrap_or_default());
            let labels = secret.metadata.labels.get_or_insert_default();
            labels.extend(ours.labels.unwrap_or_default());
            self.secrets
                .replace(&role.secret_name, &parameters, &secret)
                .await
        } else {
            self.secrets.create(&parameters, &secret).await
        };
        written.map(drop).map_err(Failure::kubernetes(what))
    }

    fn secret(&self, role: &RoleSpec, held: &Held) -> KubeSecret {
        let Self { spec, server, .. } = self;
        // The words of libpq; that the certificate is checked is said by `sslmode` and `ca.crt`.
        let (mode, in_uri) = match server.tls {
            Some(_) => ("verify-full", "require"),
            None => ("disable", "disable"),
        };
        let password = held.password.expose();
        let uri = format!(
            "postgresql://{}:{password}@{}:{}/{}?sslmode={in_uri}",
            held.login, server.host, server.port, spec.name
        );
        let port = server.port.to_string();
        let mut data: BTreeMap<String, ByteString> = [
            ("username", &*held.login),
            ("password", password),
            ("host", &server.host),
            ("port", &port),
            ("database", &spec.name),
            ("sslmode", mode),
            ("uri", &uri),
        ]
        .map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())))
        .into();
        if let Some(authority) = &server.authority {
            let authority = authority.as_bytes().to_vec();
            data.insert("ca.crt".to_owned(), ByteString(authority));
        }
        let annotations = [
            (OWNED_BY, self.mark.to_string()),
            (ROTATED_AT, held.rotated_at.to_string()),
            (REVISION, held.revision.clone()),
        ];
        let label = ("app.kubernetes.io/managed-by", "paymesh-db-operator");
        KubeSecret {
            metadata: ObjectMeta {
                name: Some(role.secret_name.clone()),
                annotations: Some(annotations.map(|(key, it)| (key.to_owned(), it)).into()),
                labels: Some([(label.0.to_owned(), label.1.to_owned())].into()),
                ..ObjectMeta::default()
            },
            type_: Some("Opaque".to_owned()),
            data: Some(data),
            ..KubeSecret::default()
        }
    }
}

/// When a password is due that was made then. A time that is to come was written by somebody else,
/// and says nothing: it is due now.
pub(crate) fn due_at(rotated_at: Timestamp, after: SignedDuration, now: Timestamp) -> Timestamp {
    if rotated_at > now {
        return now;
    }
    rotated_at.checked_add(after).unwrap_or(Timestamp::MAX)
}

fn annotation<'a>(secret: &'a KubeSecret, key: &str) -> Option<&'a str> {
    let annotations = secret.metadata.annotations.as_ref()?;
    annotations.get(key).map(String::as_str)
}

/// A value of a Secret.
pub(crate) fn value(secret: &KubeSecret, key: &str) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(key)?;
    String::from_utf8(bytes.0.clone()).ok()
}

/// What a Secret of ours holds; `None` if it cannot be used, and a new password has to be made. One
/// that somebody else wrote may have letters that the URI beside it cannot have.
pub fn held(secret: &KubeSecret, role: &RoleSpec) -> Option<Held> {
    let stands_for_itself =
        |letter: char| letter.is_ascii_alphanumeric() || "-._~".contains(letter);
    let login = value(secret, "username")?;
    let password = value(secret, "password")?;
    (!password.is_empty() && password.chars().all(stands_for_itself)).then_some(())?;
    logins(&role.name).contains(&login).then_some(())?;
    Some(Held {
        login,
        password: Secret::from(password),
        rotated_at: annotation(secret, ROTATED_AT)?.parse().ok()?,
        revision: annotation(secret, REVISION)?.to_owned(),
    })
}

/// Deletes a Secret if it is this object's.
pub(crate) async fn delete(
    secrets: &Api<KubeSecret>,
    mark: &Mark,
    secret: &str,
) -> Result<(), Failure> {
    let Some(found) = ours(secrets, mark, secret).await? else {
        return Ok(());
    };
    // Only the one that was looked at.
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: found.metadata.uid,
            resource_version: found.metadata.resource_version,
        }),
        ..DeleteParams::default()
    };
    let what = format!("the Secret {secret} could not be deleted");
    let deleted = secrets.delete(secret, &parameters).await;
    deleted.map(drop).map_err(Failure::kubernetes(what))
}

/// Writes on a Secret that its object is gone.
pub(crate) async fn release(
    secrets: &Api<KubeSecret>,
    mark: &Mark,
    secret: &str,
) -> Result<(), Failure> {
    let Some(mut found) = ours(secrets, mark, secret).await? else {
        return Ok(());
    };
    let annotations = found.metadata.annotations.get_or_insert_default();
    annotations.insert(OWNED_BY.to_owned(), mark.released());
    let what = format!("the Secret {secret} could not be released");
    let written = secrets
        .replace(secret, &PostParams::default(), &found)
        .await;
    written.map(drop).map_err(Failure::kubernetes(what))
}

async fn ours(
    secrets: &Api<KubeSecret>,
    mark: &Mark,
    secret: &str,
) -> Result<Option<KubeSecret>, Failure> {
    let what = format!("the Secret {secret} could not be read");
    let found = secrets.get_opt(secret).await;
    let found = found.map_err(Failure::kubernetes(what))?;
    Ok(found.filter(|it| mark.read(annotation(it, OWNED_BY)) == Whose::Ours))
}

/// The finalizer, and where a `Database` is kept from being gone.
pub(crate) fn finalizer() -> String {
    format!("{GROUP}/database")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::Access;

    #[test]
    fn only_what_the_uri_can_have_too_is_used_again() {
        let role = RoleSpec {
            name: "reader".to_owned(),
            access: Access::ReadOnly,
            secret_name: "reader".to_owned(),
        };
        let is_used = |login: &str, password: &str| {
            let data = [("username", login), ("password", password)]
                .map(|(key, it)| (key.to_owned(), ByteString(it.as_bytes().to_vec())));
            let annotations = [(ROTATED_AT, "2026-11-22T12:00:00Z"), (REVISION, "0")]
                .map(|(key, it)| (key.to_owned(), it.to_owned()));
            let secret = KubeSecret {
                metadata: ObjectMeta {
                    annotations: Some(annotations.into()),
                    ..ObjectMeta::default()
                },
                data: Some(data.into()),
                ..KubeSecret::default()
            };
            held(&secret, &role).is_some()
        };
        assert!(is_used("reader_b", new_password().expose()));
        assert!(is_used("reader_a", "a.word~of-somebody_else"));
        for password in ["", "a/b", "a@b", "a%62", "a?b", "a#b", "ä", "a b", "a\0"] {
            assert!(!is_used("reader_a", password), "{password:?}");
        }
        assert!(!is_used("writer_a", "a"));
    }

    #[test]
    fn a_password_is_due_after_its_time_and_at_once_if_its_time_cannot_be() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (now, hour) = (at("2026-11-22T12:00:00Z"), SignedDuration::from_hours(1));
        let due = |rotated_at, after| due_at(at(rotated_at), after, now);
        assert_eq!(
            due("2026-11-22T11:30:00Z", hour),
            at("2026-11-22T12:30:00Z")
        );
        assert_eq!(due("2026-11-22T12:00:01Z", hour), now);
        assert_eq!(due("9999-12-30T00:00:00Z", hour), now);
        assert_eq!(
            due("2026-11-22T11:30:00Z", SignedDuration::MAX),
            Timestamp::MAX
        );
    }
}
