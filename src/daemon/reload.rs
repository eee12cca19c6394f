//! Reloading: a new configuration takes effect as a whole or not at all. A session that it does not change is left alone, so that
//! others see no flicker.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::account::{Account, AccountId};
use super::service::Service;
use super::{Daemon, StartError, first_readings_timeout};
use crate::config::{self, Config, OnExit};
use crate::time::Now;
use crate::warning::{Code, Warning};

impl Daemon {
    /// Reads the configuration again and puts it in force if it is valid. The error is the full report for the client.
    pub(super) fn reload(&mut self) -> Result<(), String> {
        let Some(file) = &self.config_file else {
            return Err("this daemon has no configuration file to reload".to_owned());
        };
        if self.ready {
            Service::reloading();
        }
        let now = self.clock.now();
        let outcome = match config::load(file, &self.environment) {
            Ok(config) => self.put_in_force(config, &now),
            Err(problems) => Err((problems.to_string(), problems.render(100, false))),
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
            .collect();
        self.environment = self.environment.clone().hiding_secrets_of(&config);
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
        self.accounts.sort_by(|a, b| a.name.cmp(&b.name));
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
            self.sources.restart(&config.signals);
            self.first_readings_timeout = Some(first_readings_timeout());
        }
        self.listening.configure(config.status.listen, now);
        self.history.enable(config.history.enabled, now);
        if config.log != self.config.log {
            tracing::warn!("`[log]` has changed; this takes effect after a restart");
        }
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
        for (name, config) in configs {
            self.last_id = AccountId(self.last_id.0 + 1);
            let metrics = Arc::clone(&self.metrics);
            let watcher = self.file_watcher.clone();
            let account =
                Account::new(self.last_id, name, config.clone(), &self.environment, metrics, &self.locks, watcher)
                    .map_err(|failure| StartError::Account { account: name.clone(), failure })?;
            accounts.push(account);
        }
        Ok(accounts)
    }
}
