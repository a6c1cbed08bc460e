//! What a person does with a stack: at db-controller, and at the acquirer.

use std::{
    fs, io,
    process::{Command, Output},
};

use super::{MERCHANT, Stack};

/// What a key for the merchant's page may do.
const READS: &str = "payments:read,ledger:read,webhooks:read";

impl Stack {
    /// The acquirer's address, and what it knows us by: for charges that are not ours.
    pub fn acquirer(&self) -> (String, &str) {
        let address = format!("http://127.0.0.1:{}", self.card.ports.acquirer);
        (address, &self.card.secrets.acquirer_token)
    }

    /// Takes a merchant in; gives their API key.
    pub fn add_merchant(&self, name: &str, fee_basis_points: u32) -> io::Result<String> {
        let fee = fee_basis_points.to_string();
        let said = self.control(&["add-merchant", "--name", name, "--fee-basis-points", &fee])?;
        let made: serde_json::Value = serde_json::from_str(&said)?;
        Ok(made["api_key"].as_str().unwrap_or_default().to_owned())
    }

    /// The id of a merchant.
    pub fn merchant(&self, name: &str) -> io::Result<String> {
        let said = self.control(&["merchants"])?;
        for line in said.lines() {
            let known: serde_json::Value = serde_json::from_str(line)?;
            if known["name"] == name {
                return Ok(known["tenant_id"].as_str().unwrap_or_default().to_owned());
            }
        }
        Err(io::Error::other(format!("no merchant {name}: {said}")))
    }

    /// Gives a merchant one more API key, with these scopes.
    pub fn add_key(&self, merchant: &str, scopes: &str) -> io::Result<String> {
        let merchant = self.merchant(merchant)?;
        let said = self.control(&["add-key", &merchant, "--scopes", scopes])?;
        Ok(said.trim_end().to_owned())
    }

    /// Gives the merchant a key for the page, which only reads; one that is there goes on.
    pub fn hand_out_page_key(&mut self) -> io::Result<()> {
        if self.card.page_key.is_empty() {
            self.card.page_key = self.add_key(MERCHANT, READS)?;
            self.card.write(&self.folder)?;
        }
        Ok(())
    }

    /// What a person has db-controller do; gives what it says.
    pub fn control(&self, words: &[&str]) -> io::Result<String> {
        let output = self.run_controller(words)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("db-controller {words:?}: {text}")))
    }

    /// Runs a command of db-controller to its end.
    pub(super) fn run_controller(&self, words: &[&str]) -> io::Result<Output> {
        Command::new(self.programs.join("paymesh-db-controller"))
            .args(words)
            .env_clear()
            .env("PAYMESH_DATABASE_URL", self.controller_url())
            .env("PAYMESH_KEY_PEPPER", &self.card.secrets.pepper)
            .output()
    }

    /// Has the acquirer settle what is not settled yet; gives its report.
    pub async fn settlement_report(&self) -> io::Result<String> {
        let (base, token) = self.acquirer();
        let request = reqwest::Client::new().post(format!("{base}/v1/payouts"));
        let answer = request.bearer_auth(token).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        let report = answer.map_err(io::Error::other)?.text().await;
        report.map_err(io::Error::other)
    }

    /// Compares a settlement report with the ledger as a person would, without any grace.
    pub fn reconcile(&self, report: &str) -> io::Result<String> {
        let head = report.lines().next().unwrap_or_default();
        let head: serde_json::Value = serde_json::from_str(head)?;
        let name = head["report"].as_str().unwrap_or_default();
        let file = self.folder.join(format!("{name}.jsonl"));
        fs::write(&file, report)?;
        self.control(&["reconcile", &file.to_string_lossy(), "--grace-seconds", "0"])
    }

    /// Every break that is open, as kind, type and name.
    pub fn breaks(&self) -> io::Result<Vec<String>> {
        let shown = |line: &str| -> io::Result<String> {
            let found: serde_json::Value = serde_json::from_str(line)?;
            let word = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
            Ok([word("kind"), word("type"), word("name")].join(" "))
        };
        self.control(&["breaks"])?.lines().map(shown).collect()
    }

    /// What a person has the acquirer do, at an address of it; `None` if it refuses.
    pub async fn ask_acquirer(&self, address: &str) -> io::Result<Option<serde_json::Value>> {
        let (base, token) = self.acquirer();
        let request = reqwest::Client::new().post(format!("{base}/v1/{address}"));
        let answer = request.bearer_auth(token).send().await;
        let answer = answer.map_err(io::Error::other)?;
        if !answer.status().is_success() {
            return Ok(None);
        }
        answer.json().await.map_err(io::Error::other)
    }
}
