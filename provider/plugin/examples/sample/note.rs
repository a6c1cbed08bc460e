//! A resource and its data source: a note is a file.

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use paymesh_plugin::{
    at,
    call::Call,
    data_source::DataSource,
    findings::Findings,
    resource::{
        Applied, ApplyRequest, DeleteRequest, Deleted, DestroyPlan, DestroyRequest, ForeignState,
        ImportBy, ImportRequest, Imported, Plan, PlanReason, PlanRequest, ReadRequest, Resource,
        Seen, State,
    },
    spec::{Field, Secret, Spec, Status},
};

use crate::{Session, journal};

/// A note in a file.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "sample_note", version = 1, status = NoteStatus)]
pub(crate) struct NoteSpec {
    /// Name of the file.
    #[attr(replace, identity, check = dns_label(1..=40))]
    pub(crate) name: String,
    /// What the note says.
    #[attr(default = String::new())]
    pub(crate) text: String,
    /// A word that is written to nobody.
    pub(crate) secret: Option<Secret<String>>,
    /// Grows when the secret changes.
    pub(crate) secret_version: Option<u32>,
    /// How long writing takes, in milliseconds.
    #[attr(default = 0)]
    pub(crate) delay_ms: u32,
    /// Whether writing crashes the provider.
    #[attr(default = false)]
    pub(crate) crash: bool,
    /// Whether writing fails.
    #[attr(default = false)]
    pub(crate) fail: bool,
}

/// The file.
#[derive(Clone, Debug, PartialEq, Status)]
pub(crate) struct NoteStatus {
    /// Path of the file.
    pub(crate) id: String,
    /// Number of characters of the text; null while the note is not finished.
    pub(crate) length: u64,
}

pub(crate) struct Note;

/// How often a slow writer looks whether it should stop.
const STEP: Duration = Duration::from_millis(10);

fn file(session: &Session, name: &str) -> PathBuf {
    session.directory.clone().unwrap_or_default().join(name)
}

fn name_of(state: &State<NoteSpec>) -> String {
    state.spec.name.known().cloned().unwrap_or_default()
}

fn length(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Resource for Note {
    type Spec = NoteSpec;
    type Session = Session;

    async fn plan(&self, request: &PlanRequest<Self>, plan: &mut Plan<Self>) {
        let call = match request.reason {
            PlanReason::Create => "plan-create",
            PlanReason::Update => "plan-update",
            PlanReason::Replacement => "plan-replacement",
        };
        let name = plan.spec.name.known().cloned().unwrap_or_default();
        if request
            .changes
            .iter()
            .any(|change| change.path == at!(text))
        {
            plan.status.length = Field::Unknown;
        }
        if plan.status.length.is_null() {
            plan.status.length = Field::Unknown;
            plan.found
                .warning(at!(), format!("Writing {name} resumes"))
                .detail("The last run stopped before the note was finished");
        }
        plan.private = format!("planned:{name}").into_bytes();
        let prior = request.prior.is_some();
        journal::record(call, &name, prior, &request.private, &plan.private);
    }

    async fn plan_destroy(&self, request: &DestroyRequest<Self>, plan: &mut DestroyPlan) {
        let name = name_of(&request.prior);
        plan.private = format!("doomed:{name}").into_bytes();
        journal::record("plan-destroy", &name, true, &request.private, &plan.private);
    }

    async fn apply(&self, request: ApplyRequest<Self>) -> Applied<Self> {
        let spec = &request.spec;
        let path = file(&request.call, &spec.name);
        let call = if request.prior.is_some() {
            "apply-update"
        } else {
            "apply-create"
        };
        let private = format!("applied:{}", spec.name).into_bytes();
        journal::record(
            call,
            &spec.name,
            request.prior.is_some(),
            &request.private,
            &private,
        );
        assert!(!spec.crash, "the note says so: {spec:?}");
        let mut found = Findings::new();
        if spec.fail {
            found
                .error(at!(fail), "Writing failed")
                .hint("set fail = false");
        } else if let Err(error) = fs::write(&path, &spec.text) {
            found
                .error(at!(name), "The note cannot be written")
                .detail(error.to_string());
        }
        if found.has_errors() {
            return Applied {
                state: request.prior,
                private: request.private,
                found,
            };
        }
        let status = NoteStatus {
            id: path.display().to_string(),
            length: length(&spec.text),
        };
        let mut state = State::new(spec.clone(), status);
        if let Some(text) = interrupted(&request.call, spec.delay_ms).await {
            state.status.length = Field::Null;
            found
                .warning(at!(), "The note is not finished")
                .detail(text)
                .hint("apply again");
        }
        Applied::state(state)
            .with_private(private)
            .with_found(found)
    }

    async fn delete(&self, request: DeleteRequest<Self>) -> Deleted<Self> {
        let name = name_of(&request.prior);
        journal::record("apply-delete", &name, true, &request.private, &[]);
        if std::env::var_os("SAMPLE_KEEPS").is_some() {
            let mut found = Findings::new();
            found
                .error(at!(), "The note stays")
                .hint("unset SAMPLE_KEEPS");
            return Deleted::failed(found);
        }
        match fs::remove_file(file(&request.call, &name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let mut found = Findings::new();
                found
                    .error(at!(), "The note cannot be removed")
                    .detail(error.to_string());
                Deleted::failed(found)
            }
            _ => Deleted::gone(),
        }
    }

    async fn read(&self, request: ReadRequest<Self>) -> Seen<Self> {
        let name = name_of(&request.prior);
        journal::record("read", &name, true, &request.private, &request.private);
        let path = file(&request.call, &name);
        let Ok(text) = fs::read_to_string(&path) else {
            return Seen::gone();
        };
        let mut state = request.prior;
        if !state.status.length.is_null() || state.status.id.is_null() {
            state.status.length = Field::Known(length(&text));
        }
        state.status.id = Field::Known(path.display().to_string());
        state.spec.text = Field::Known(text);
        for blank in [&mut state.spec.fail, &mut state.spec.crash] {
            *blank = Field::Known(blank.is(true));
        }
        state.spec.delay_ms = Field::Known(state.spec.delay_ms.into_known().unwrap_or(0));
        Seen::state(state, request.private)
    }

    async fn import(&self, request: ImportRequest<Self>) -> Imported<Self> {
        let name = match &request.by {
            ImportBy::Id(id) => id.clone(),
            ImportBy::Identity(identity) => identity
                .entry("name")
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        };
        journal::record("import", &name, false, &[], &[]);
        if !file(&request.call, &name).exists() {
            return Imported::nothing();
        }
        let mut state = State::<NoteSpec>::blank();
        state.spec.name = Field::Known(name);
        Imported::state(state)
    }

    fn move_from(&self, foreign: &ForeignState, found: &mut Findings) -> Option<State<NoteSpec>> {
        if foreign.type_name != "terraform_data" {
            return None;
        }
        // A dynamic value is stored with its type.
        let Some(name) = foreign.state["output"]["value"].as_str() else {
            found.error(
                at!(name),
                "The terraform_data has no output that names a note",
            );
            return None;
        };
        let mut state = State::<NoteSpec>::blank();
        state.spec.name = Field::Known(name.to_owned());
        Some(state)
    }

    fn upgrade(
        &self,
        version: u64,
        mut state: serde_json::Value,
        _: &mut Findings,
    ) -> Option<serde_json::Value> {
        // Version 0 called the text "content".
        if version != 0 {
            return None;
        }
        let content = state["content"].take();
        state["text"] = content;
        Some(state)
    }
}

/// Waits for the note to be "written"; says so if Terraform wants to stop before.
async fn interrupted(call: &Call<Session>, delay_ms: u32) -> Option<String> {
    let (stop, delay) = (call.stop().clone(), Duration::from_millis(delay_ms.into()));
    let wait = move || {
        let begin = Instant::now();
        while begin.elapsed() < delay && !stop.is_cancelled() {
            thread::sleep(STEP.min(delay));
        }
        stop.is_cancelled()
            .then(|| format!("Stopped after {} s", begin.elapsed().as_secs()))
    };
    tokio::task::spawn_blocking(wait)
        .await
        .unwrap_or_else(|error| Some(error.to_string()))
}

/// Looks a note up.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "sample_note", status = FoundStatus)]
pub(crate) struct LookupSpec {
    /// Name of the file.
    #[attr(check = dns_label(1..=40))]
    pub(crate) name: String,
}

/// The note that was found.
#[derive(Clone, Debug, PartialEq, Status)]
pub(crate) struct FoundStatus {
    /// What the note says.
    pub(crate) text: String,
}

pub(crate) struct NoteLookup;

#[async_trait]
impl DataSource for NoteLookup {
    type Spec = LookupSpec;
    type Session = Session;

    async fn read(
        &self,
        call: Call<Session>,
        spec: LookupSpec,
        found: &mut Findings,
    ) -> Option<FoundStatus> {
        journal::record("read-data", &spec.name, false, &[], &[]);
        let text = fs::read_to_string(file(&call, &spec.name)).inspect_err(|error| {
            found
                .error(at!(name), "There is no such note")
                .detail(error.to_string())
                .hint("create a sample_note of this name first");
        });
        Some(FoundStatus { text: text.ok()? })
    }
}
