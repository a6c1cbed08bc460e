//! `paymesh orphans`: what bears a mark in the clouds and is in none of the given states.
//!
//! The provider needs none of this after a crash: the next apply finds its own by the mark. It is
//! for what no apply will come back for, because the state or the configuration is gone. The mark
//! is all there is to go by, so deleting is limited to one owner, which is unique per state. Where
//! no state is given everything is an orphan, and a state that could not be pulled looks like none:
//! so deleting asks for a state that has something of the owner, or for the word that it is lost.
//!
//! A cluster that another owner imported goes on with what it stands on, which bears the mark of
//! whoever made it: what a cluster uses that is itself no orphan is none either.

mod clouds;
mod shown;
mod states;
mod users;

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::PathBuf,
};

use clap::Args;

use crate::plain::plain;

use self::{
    clouds::{Clouds, Found},
    shown::Owners,
    states::States,
};

type Result<T> = std::result::Result<T, String>;

/// What to look for, and where.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Options {
    /// States whose objects are no orphans: files of `terraform state pull` or
    /// `terraform show -json`, or `-` for standard input. With --delete, each must hold a resource
    /// of Paymesh, and together something that the owner has marked.
    states: Vec<PathBuf>,
    /// Only what this owner has marked: `owner` of a provider block.
    #[arg(long)]
    owner: Option<String>,
    /// Delete what is found of --owner, after showing it.
    #[arg(long)]
    delete: bool,
    /// Delete everything that the owner has marked: its state is lost, or holds nothing any more.
    #[arg(long, requires = "delete", conflicts_with = "states")]
    without_state: bool,
    /// Delete without asking.
    #[arg(long, requires = "delete")]
    yes: bool,
    /// End with exit code 1 if anything is listed.
    #[arg(long, conflicts_with = "delete")]
    fail_if_any: bool,
    /// Look in the simulated cloud that `paymesh sim up` started, and nowhere else.
    #[arg(long, conflicts_with_all = ["subscriptions", "projects"])]
    simulator: bool,
    /// A subscription to look in; if none is named, that of `ARM_SUBSCRIPTION_ID` or
    /// `AZURE_SUBSCRIPTION_ID`. Cloud and login are those of the provider: `ARM_ENVIRONMENT`, ...
    #[arg(long = "subscription", value_name = "ID")]
    subscriptions: Vec<String>,
    /// A project to look in; if none is named, that of `GOOGLE_PROJECT`, `GOOGLE_CLOUD_PROJECT`,
    /// `GCLOUD_PROJECT` or `CLOUDSDK_CORE_PROJECT`.
    #[arg(long = "project", value_name = "ID")]
    projects: Vec<String>,
}

/// Lists the orphans; deletes them if that is wanted.
pub(crate) fn run(options: &Options) -> Result<()> {
    let states = States::read(&options.states)?;
    if options.delete {
        is_told_what(options, &states)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        let clouds = Clouds::connect(options)?;
        let mut found = clouds.marked().await?;
        let owners = Owners::known(&found, options.owner.as_deref());
        if let Some(owner) = &options.owner {
            let all = owners.list(&found);
            found.retain(|it| it.is_of(owner));
            if found.is_empty() && !all.is_empty() {
                println!("No orphans: nothing bears the mark of {owner}. Owners found: {all}.");
                return Ok(());
            }
        }
        let looked_at = found.len();
        let orphans = states.orphans(found);
        let has_nothing = orphans.len() == looked_at;
        let (orphans, used) = users::spare(orphans);
        for it in &used {
            println!("{} uses {}", plain(&it.users.join(", ")), owners.line(it));
        }
        if orphans.is_empty() {
            println!(
                "No orphans: {looked_at} objects bear a mark, and a given state or a cluster that \
                 is no orphan has each."
            );
            return Ok(());
        }
        if options.states.is_empty() {
            println!("No state was given: whatever bears a mark is listed.");
        } else if let Some(path) = states.bare() {
            println!("{} holds no resource of Paymesh.", path.display());
        }
        println!(
            "{} objects bear a mark and are in no given state:",
            orphans.len()
        );
        for orphan in &orphans {
            println!("  {}", owners.line(orphan));
        }
        if !options.delete {
            // Without a state everything is listed, also what runs.
            if !options.states.is_empty() {
                println!("\nDelete them with: paymesh orphans --owner OWNER --delete STATE...");
            }
            return if options.fail_if_any {
                Err(format!("{} objects are listed", orphans.len()))
            } else {
                Ok(())
            };
        }
        if !options.without_state && has_nothing {
            return Err(format!(
                "nothing was deleted: the given states have none of it. {LOST}"
            ));
        }
        if !options.yes {
            ask()?;
        }
        delete(&clouds, &orphans, &owners).await
    })
}

/// What to do where no state is known to be the owner's.
const LOST: &str = "Give the state of this owner, from its folder and workspace \
    (terraform state pull > FILE); or say --without-state if it is lost, which deletes everything \
    that this owner has marked, clusters that run included";

/// Whether there is an owner, and a state to spare what it has or the word that there is none.
fn is_told_what(options: &Options, states: &States) -> Result<()> {
    if options.owner.is_none() {
        return Err(format!(
            "nothing was deleted: no owner was given. Say whose it is: --owner OWNER. {LOST}"
        ));
    }
    if options.states.is_empty() && !options.without_state {
        return Err(format!("nothing was deleted: no state was given. {LOST}"));
    }
    match states.bare() {
        None => Ok(()),
        Some(path) => Err(format!(
            "nothing was deleted: {} holds no resource of Paymesh. {LOST}",
            path.display()
        )),
    }
}

/// Asks whoever sits at the terminal.
fn ask() -> Result<()> {
    if !io::stdin().is_terminal() {
        return Err("nothing was deleted: nobody can be asked here; say --yes".to_owned());
    }
    print!(
        "\nAn apply that runs now has what it makes in no state yet: make sure that none does.\n\
         Delete all of these? Only \"yes\" deletes: "
    );
    let mut answer = String::new();
    io::stdout()
        .flush()
        .and_then(|()| io::stdin().lock().read_line(&mut answer))
        .map_err(|error| format!("nothing was deleted: {error}"))?;
    if answer.trim() == "yes" {
        Ok(())
    } else {
        Err("nothing was deleted".to_owned())
    }
}

/// Deletes one after the other: what uses before what is used, and that only if nothing of it is left.
async fn delete(clouds: &Clouds, orphans: &[Found], owners: &Owners) -> Result<()> {
    let mut left: Vec<&Found> = Vec::new();
    let mut failed = 0;
    for orphan in orphans {
        let line = owners.line(orphan);
        let is_left = |user: &&String| left.iter().any(|it| it.is(user));
        if let Some(user) = orphan.users.iter().find(is_left) {
            println!("kept     {line}: {} uses it", plain(user));
            left.push(orphan);
            continue;
        }
        match clouds.remove(orphan).await {
            Ok(None) => println!("deleted  {line}"),
            Ok(Some(why)) => {
                left.push(orphan);
                println!("kept     {line}: {why}");
            }
            Err(why) => {
                left.push(orphan);
                failed += 1;
                println!("FAILED   {line}\n{why}");
            }
        }
    }
    if failed == 0 {
        Ok(())
    } else {
        Err(format!(
            "{failed} objects are left; run the command again once the cause is mended"
        ))
    }
}
