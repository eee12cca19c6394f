//! Reloading: a new configuration takes effect as a whole or not at all. A session that it does not change is left alone, so that
//! others see no flicker.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::account::{Account, AccountId, Resources};
use super::kept::Reply;
use super::owners::OwnersSignals;
use super::service::Service;
use super::{Daemon, StartError, first_readings_timeout};
use crate::config::{self, Config, OnExit, Problems};
use crate::fill::Fill as _;
use crate::off_the_loop::off_the_loop_in_time;
use crate::time::Now;
use crate::warning::{Code, Warning};

/// The result of reading the configuration again; `None`: its file system does not answer.
pub(super) type Loaded = Option<Result<Box<Config>, Problems>>;

/// The configuration is being read, on a thread where that may block.
pub(super) struct Loading {
    task: JoinHandle<Loaded>,
    /// Who is answered afterwards.
    replies: Vec<Reply>,
    /// Whether it must be read again afterwards, because somebody asked meanwhile, and who is answered then.
    again: Option<Vec<Reply>>,
}

/// Waits until the configuration was read.
pub(super) async fn loaded(loading: &mut Option<Loading>) -> Loaded {
    match loading {
        Some(loading) => match (&mut loading.task).await {
            Ok(loaded) => loaded,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => None,
        },
        None => std::future::pending().await,
    }
}

impl Daemon {
    /// Starts to read the configuration again. `reply` gets the outcome: the error is the full report for the client.
    pub(super) fn reload(&mut self, reply: Option<Reply>) {
        let Some(file) = self.config_file.clone() else {
            let refused = Err("this daemon has no configuration file to reload".to_owned());
            return reply.into_iter().for_each(|reply| drop(reply.send(refused.clone())));
        };
        if let Some(loading) = &mut self.loading {
            return loading.again.get_or_insert_default().extend(reply);
        }
        if self.ready {
            Service::reloading();
        }
        let environment = self.environment.clone();
        let task = tokio::spawn(async move {
            let place = file.clone();
            off_the_loop_in_time(&place, move || config::load_again(&file, &environment).map(Box::new)).await
        });
        self.loading = Some(Loading { task, replies: reply.into_iter().collect(), again: None });
    }

    /// Puts the configuration in force if it is valid, and answers.
    pub(super) fn finish_reload(&mut self, loaded: Loaded) {
        let Some(Loading { replies, again, .. }) = self.loading.take() else { return };
        let outcome = self.take_over(loaded);
        for reply in replies {
            // A client that has left does not need its answer.
            let _ = reply.send(outcome.clone());
        }
        if let Some(replies) = again {
            self.reload(None);
            if let Some(loading) = &mut self.loading {
                loading.replies = replies;
            }
        }
    }

    fn take_over(&mut self, loaded: Loaded) -> Result<(), String> {
        let now = self.clock.now();
        let outcome = match loaded {
            Some(Ok(config)) => self.put_in_force(*config, &now),
            Some(Err(problems)) => Err((problems.to_string(), problems.render(100, false))),
            None => {
                let file = self.config_file.as_deref().unwrap_or(Path::new(""));
                let text = format!("{} cannot be read: its file system does not answer", file.display());
                Err((text.clone(), text))
            }
        };
        if self.ready {
            Service::ready();
        }
        match outcome {
            Ok(()) => {
                tracing::info!("configuration reloaded");
                self.config_warning = None;
                Ok(())
            }
            Err((text, whole)) => {
                tracing::warn!("the new configuration is not in force: {text}");
                self.config_warning = Some(Warning {
                    code: Code::ConfigurationInvalid,
                    text: format!("the configuration on disk is invalid, so the last valid one is in force: {text}"),
                    hint: "run `presenced check`, fix what it shows, then run `presenced reload`".to_owned(),
                });
                Err(whole)
            }
        }
    }

    fn put_in_force(&mut self, config: Config, now: &Now) -> Result<(), (String, String)> {
        let changed: BTreeMap<_, _> = config
            .accounts
            .iter()
            .filter(|(name, new)| self.config.accounts.get(*name) != Some(*new))
            .map(|(name, new)| (name.clone(), new.clone()))
            .fill();
        self.environment = self.environment.clone().hiding_secrets_of(&config);
        self.applications.configure(&config.accounts);
        // A credential may have been replaced.
        self.applications.tokens.begin_anew();
        self.reload_fleets(&config.accounts, now).map_err(|error| (error.to_string(), error.to_string()))?;
        let added = self.new_accounts(&changed).map_err(|error| (error.to_string(), error.to_string()))?;
        self.has_reloaded = true;
        let clear = self.config.session.on_exit == OnExit::Clear;
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.accounts)
            .into_iter()
            .partition(|account| config.accounts.get(&account.name) == Some(&account.config));
        self.accounts = kept;
        for account in &mut self.accounts {
            account.setup_changed(&self.environment, now);
        }
        self.accounts.extend(added);
        self.accounts.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.leavers.extend(gone);
        for leaver in &mut self.leavers {
            // A session that another account holds now belongs to it, even if it was being cleared.
            let is_taken = self.accounts.iter().any(|account| account.holds_same_session(leaver));
            if clear && is_taken {
                leaver.hand_over(now);
            } else {
                leaver.leave(clear, now);
            }
        }
        if config.signals != self.config.signals {
            self.board.configure(&config.signals);
            self.owners = OwnersSignals::new(&config.signals);
            self.sources.restart(&config.signals);
            self.first_readings_timeout = Some(first_readings_timeout());
        }
        self.listening.configure(config.status.listen, now);
        self.history.configure(config.history, now);
        if config.log != self.config.log {
            tracing::warn!("`[log]` has changed; this takes effect after a restart");
        }
        self.accounts_own.retain(&config.accounts, now);
        self.metrics.retain(|name| config.accounts.contains_key(name));
        self.config = config;
        Ok(())
    }

    /// Sets up accounts that hold nothing yet.
    pub(super) fn new_accounts(
        &mut self,
        configs: &BTreeMap<String, config::Account>,
    ) -> Result<Vec<Account>, StartError> {
        let mut accounts = Vec::with_capacity(configs.len());
        for (name, config) in configs.iter().filter(|(_, config)| config.users.is_none()) {
            self.last_id = AccountId(self.last_id.0 + 1);
            let resources = Resources {
                environment: &self.environment,
                metrics: Arc::clone(&self.metrics),
                applications: &mut self.applications,
                locks: &self.locks,
                file_watcher: self.file_watcher.clone(),
            };
            let account = Account::new(self.last_id, name, config.clone(), resources)
                .map_err(|failure| StartError::Account { account: name.clone(), failure })?;
            accounts.push(account);
        }
        Ok(accounts)
    }
}
