//! Accounts: what protects their passwords, and what becomes of them while agents run.

use super::*;
use crate::knowledge::KnowledgeError;
use agent_core::knowledge::contract::clock;

/// A user of a server, who may do everything in a schema.
struct Account<'a> {
    bench: &'a Bench,
    user: String,
}

impl<'a> Account<'a> {
    /// `how` is what follows `identified` when the user is made.
    fn new(bench: &'a Bench, user: &str, how: &str) -> Self {
        let user = format!("{user}_{}", bench.schema);
        bench.server.execute(&format!(
            "create user '{user}'@'%' identified {how}; grant all on `{}`.* to '{user}'@'%'",
            bench.schema
        ));
        Self { bench, user }
    }

    fn alter(&self, what: &str) {
        self.bench.server.execute(&format!("alter user '{}'@'%' {what}", self.user));
    }

    fn settings(&self, password: &str) -> MysqlSettings {
        let (user, password) = (self.user.clone(), Some(password.to_owned()));
        MysqlSettings { user, password, patience: Duration::from_secs(2), ..self.bench.settings() }
    }

    async fn enters(&self, password: &str) {
        let opened = open(&self.settings(password), &clock()).await;
        opened.unwrap_or_else(|error| panic!("{}: {error}", self.user)).nodes().await.unwrap();
    }

    async fn is_refused(&self, password: &str, expected: &str) {
        let error = open(&self.settings(password), &clock()).await.err().expect("it is refused");
        assert!(matches!(error, KnowledgeError::Unusable { .. }), "{}: {error:?}", self.user);
        assert!(error.to_string().contains(expected), "{}: {error}", self.user);
    }
}

/// Whether the server has a plugin now.
fn has_plugin(server: &MariaDb, name: &str) -> bool {
    let installed = server.try_execute(&format!("install soname '{name}'"));
    installed.status.success() || String::from_utf8_lossy(&installed.stderr).contains("already installed")
}

/// A plugin that a server may lack, or an early end of the test.
macro_rules! plugin {
    ($bench:expr, $name:literal) => {
        if !has_plugin($bench.server, $name) {
            return println!("SKIPPED: mariadbd has no plugin {}", $name);
        }
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_plugin_that_protects_a_password_is_spoken() {
    let bench = bench!(Bench::new().await);
    plugin!(bench, "auth_ed25519");
    for (user, how) in [
        ("native", "via mysql_native_password using password('s3cret')"),
        ("ed25519", "via ed25519 using password('s3cret')"),
        ("first", "via ed25519 using password('s3cret') or mysql_native_password using password('other')"),
    ] {
        let account = Account::new(&bench, user, how);
        account.enters("s3cret").await;
        let refused = open(&account.settings("guessed"), &clock()).await.err().expect("it is refused").to_string();
        let advice = ["Access denied", "the first of them has to accept the password"];
        assert!(advice.iter().any(|advice| refused.contains(advice)), "{user}: {refused}");
    }
    // Newer servers have this one.
    if has_plugin(bench.server, "auth_parsec") {
        Account::new(&bench, "parsec", "via parsec using password('s3cret')").enters("s3cret").await;
    }
}

/// In so many logins, two challenges are among those that the driver signs wrongly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_ed25519_enters_with_any_challenge() {
    let bench = bench!(Bench::new().await);
    plugin!(bench, "auth_ed25519");
    let account = Account::new(&bench, "each", "via ed25519 using password('s3cret')");
    let settings = account.settings("s3cret");
    for _ in 0..512 {
        let session = connect::log_in(|| mysql_async::Conn::new(settings.options_to_administer(0))).await.unwrap();
        session.disconnect().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_is_not_spoken_is_named() {
    let bench = bench!(Bench::new().await);
    plugin!(bench, "auth_pam");
    let pam = Account::new(&bench, "pam", "via pam using 'mariadb'");
    pam.is_refused("any", "authentication plugin `dialog` is none that this program speaks; give the account one")
        .await;
    let old = Account::new(&bench, "old", "via mysql_old_password using '0123456789abcdef'");
    old.is_refused("any", "(error 1275); give the account an authentication plugin that docs/database.md names").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_was_closed_is_told_as_such() {
    let bench = bench!(Bench::new().await);
    let account = Account::new(&bench, "closed", "by 's3cret'");
    account.alter("account lock");
    account.is_refused("s3cret", "; unlock it with `alter user").await;
    account.alter("account unlock password expire");
    account.is_refused("s3cret", "; the account's password has expired").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_changes_is_said_and_tried_again() {
    let bench = bench!(Bench::new().await);
    plugin!(bench, "auth_ed25519");
    let account = Account::new(&bench, "changing", "by 's3cret'");
    let knowledge = open(&account.settings("s3cret"), &clock()).await.unwrap();
    let end_sessions = || bench.server.execute(&format!("kill user '{}'", account.user));
    let refused = async || knowledge.nodes().await.expect_err("it is refused");
    account.alter("identified by 'another'");
    // A session that is open stays so.
    knowledge.nodes().await.unwrap();
    end_sessions();
    let error = refused().await;
    assert!(matches!(error, KnowledgeError::Unusable { .. }), "{error:?}");
    assert!(
        error.to_string().contains("Access denied for user") && error.to_string().contains("AGENT_DATABASE_PASSWORD")
    );
    // Another plugin with the old password is as good as the old one.
    account.alter("identified via ed25519 using password('s3cret')");
    knowledge.nodes().await.unwrap();
    account.alter("identified via mysql_old_password using '0123456789abcdef'");
    end_sessions();
    assert!(refused().await.to_string().contains("(error 1275)"));
    account.alter("identified by 's3cret'");
    knowledge.nodes().await.unwrap();
}
