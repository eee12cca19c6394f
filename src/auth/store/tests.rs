//! A store in its own folder, without a bus.

use std::fs;

use tempfile::TempDir;

use super::*;

fn sign_in(refresh_token: &str) -> SignIn {
    SignIn { refresh_token: refresh_token.into(), user: None, tenant: None, username: None, reads: false }
}

/// An environment without a bus.
fn environment(folder: &TempDir) -> Environment {
    Environment::bare(folder.path())
}

async fn stored(store: &Store) -> String {
    store.load().await.unwrap().refresh_token.expose_secret().to_owned()
}

#[tokio::test]
async fn a_renewal_does_not_undo_what_a_person_did_meanwhile() {
    let folder = TempDir::new().unwrap();
    let store = Store::of("work", TokenStore::Auto, &environment(&folder));
    let other = Store::of("work", TokenStore::Auto, &environment(&folder));
    store.save(&sign_in("r1")).await.unwrap();
    let used = store.load().await.unwrap();

    other.save(&sign_in("of somebody else")).await.unwrap();
    store.rotate(&used, sign_in("r2")).await;
    assert_eq!(stored(&store).await, "of somebody else");

    assert!(logout("work", TokenStore::Auto, &environment(&folder), || ()).await.unwrap());
    store.rotate(&used, sign_in("r2")).await;
    assert_eq!(store.load().await.unwrap_err().kind, FailureKind::SignInNeeded);
}

#[tokio::test]
async fn a_renewal_that_cannot_be_written_is_used_and_written_later() {
    let folder = TempDir::new().unwrap();
    let store = Store::of("work", TokenStore::File, &environment(&folder));
    let other = Store::of("work", TokenStore::File, &environment(&folder));
    store.save(&sign_in("r1")).await.unwrap();
    // No draft can be written: folders are in all their places.
    let file = folder.path().join("tokens/work.json");
    let block = || crate::whole_file::drafts(&file).for_each(|draft| fs::create_dir(draft).unwrap());
    let unblock = || crate::whole_file::drafts(&file).for_each(|draft| fs::remove_dir(draft).unwrap());
    assert_eq!(store.not_stored(), None);
    block();
    for (used, renewed) in [("r1", "r2"), ("r2", "r3")] {
        store.rotate(&sign_in(used), sign_in(renewed)).await;
        assert_eq!((stored(&store).await.as_str(), stored(&other).await.as_str()), (renewed, "r1"));
        let failure = store.not_stored().unwrap();
        assert!(failure.text.contains("work.json cannot be written"), "{failure}");
    }
    unblock();
    assert_eq!(stored(&store).await, "r3");
    assert_eq!(stored(&other).await, "r3");
    assert_eq!(store.not_stored(), None);

    block();
    store.rotate(&sign_in("r3"), sign_in("r4")).await;
    unblock();
    other.save(&sign_in("of somebody else")).await.unwrap();
    assert!(store.not_stored().is_some());
    assert_eq!(stored(&store).await, "of somebody else", "the replaced one is dropped");
    assert_eq!(store.not_stored(), None);
}

#[tokio::test]
async fn without_a_bus_only_a_keyring_store_fails() {
    let folder = TempDir::new().unwrap();
    let store = Store::of("work", TokenStore::Keyring, &environment(&folder));
    for failure in [store.load().await.unwrap_err(), store.save(&sign_in("r1")).await.unwrap_err()] {
        assert_eq!(failure.kind, FailureKind::Passing);
        assert!(failure.text.contains("the session bus cannot be reached: there is none"), "{failure}");
        assert!(failure.hint.unwrap().ends_with("in [tokens] and run `presenced login work`"));
    }
    assert!(!logout("work", TokenStore::Keyring, &environment(&folder), || ()).await.unwrap());
}

#[test]
fn nothing_shows_the_refresh_token() {
    assert!(!format!("{:?}", sign_in("r3fresh")).contains("r3fresh"));
}
