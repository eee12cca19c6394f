//! What Graph answers to reads, and the forms of its paths.

use presenced_emulator::{App, BEHAVIOURS, Options, User};

use super::*;

fn directory(users: u32) -> Options {
    Options { users: (1..=users).map(User::numbered).collect(), ..Options::default() }
}

fn path_of(user: u32) -> String {
    format!("/v1.0/users/{}/presence", User::numbered(user).id)
}

#[tokio::test]
async fn a_presence_has_every_documented_property() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let read = rig.get(&token, &path_of(1)).await.json();
    assert_eq!(
        read,
        json!({
            "@odata.context": format!("https://graph.microsoft.com/v1.0/$metadata#users('{USER}')/presence/$entity"),
            "id": USER,
            "availability": "Offline",
            "activity": "Offline",
            "sequenceNumber": "A0000000000",
            "statusMessage": null,
            "workLocation": { "workLocationType": "unspecified", "source": "none", "placeId": null },
            "outOfOfficeSettings": { "message": null, "isOutOfOffice": false },
        })
    );
    let mut last = "A0000000000".to_owned();
    for change in ["setPresence", "setStatusMessage", "clearPresence"] {
        let body = match change {
            "setStatusMessage" => json!({"statusMessage": {"message": {"content": "Hello"}}}),
            "setPresence" => json!({"sessionId": APP, "availability": "Available", "activity": "Available"}),
            _ => json!({ "sessionId": APP }),
        };
        assert_eq!(rig.post(&token, &action(change), body).await.status, 200, "{change}");
        let next = rig.get(&token, &path_of(1)).await.text("sequenceNumber");
        assert!(next > last, "{change}: {next} after {last}");
        last = next;
    }
    assert_eq!(rig.get(&token, &path_of(1)).await.text("sequenceNumber"), last, "reading changes nothing");
}

#[tokio::test]
async fn select_picks_properties_and_refuses_unknown_ones() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let read = rig.get(&token, &format!("{}?$select=activity,Availability", path_of(1))).await.json();
    let context =
        format!("https://graph.microsoft.com/v1.0/$metadata#users('{USER}')/presence(activity,availability)/$entity");
    assert_eq!(read, json!({"@odata.context": context, "availability": "Offline", "activity": "Offline"}));
    for all in ["?$select=", "?$select=*", "?%24select=id,*"] {
        assert!(rig.get(&token, &format!("{}{all}", path_of(1))).await.json()["workLocation"].is_object(), "{all}");
    }
    let answer = rig.get(&token, &format!("{}?%24select=id,mood", path_of(1))).await;
    let message = "Could not find a property named 'mood' on type 'microsoft.graph.presence'.";
    answer.is_graph_error(400, "BadRequest", message);
    let many = "/beta/communications/getPresencesByUserId?$select=activity";
    let read = rig.post(&token, many, json!({"ids": [USER, "nobody"]})).await.json();
    assert_eq!(read["value"], json!([{"activity": "Offline"}, {"activity": "PresenceUnknown"}]));
    let context = "https://graph.microsoft.com/beta/$metadata#Collection(microsoft.graph.presence)(activity)";
    assert_eq!(read["@odata.context"], context);
}

#[tokio::test]
async fn a_path_may_be_written_in_every_form_that_clients_use() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let body = json!({"sessionId": APP, "availability": "Busy", "activity": "InACall"});
    for path in [
        format!("/v1.0/users('{USER}')/presence/setPresence"),
        format!("/v1.0/users(%27{USER}%27)/presence/microsoft.graph.setPresence"),
        format!("/v1.0/Users/{USER}/Presence/SetPresence"),
        format!("/v1.0/users/{USER}/presence/Microsoft.Graph.setpresence"),
        format!("/v1.0/communications/presences('{USER}')/setPresence"),
        format!("/beta/communications/presences/{USER}/microsoft.graph.setPresence"),
    ] {
        rig.post(&token, &action("clearPresence"), json!({ "sessionId": APP })).await;
        assert_eq!(rig.visible(), "Offline/Offline");
        assert_eq!(rig.post(&token, &path, body.clone()).await.status, 200, "{path}");
        assert_eq!(rig.visible(), "Busy/InACall", "{path}");
    }
    for path in [format!("/v1.0/users('{USER}')/presence"), format!("/v1.0/communications/presences('{USER}')")] {
        assert_eq!(rig.get(&token, &path).await.text("activity"), "InACall", "{path}");
    }
}

#[tokio::test]
async fn the_presences_of_all_users_are_listed_in_pages() {
    let rig = Rig::with(directory(651)).await;
    let token = rig.app_token().await;
    let first = rig.get(&token, "/v1.0/communications/presences?$select=id").await.json();
    assert_eq!(first["value"].as_array().unwrap().len(), 650);
    assert_eq!(first["value"][0], json!({"id": USER}));
    let next = first["@odata.nextLink"].as_str().unwrap().strip_prefix(&rig.base).unwrap().to_owned();
    let second = rig.get(&token, &next).await.json();
    assert_eq!(second["value"], json!([{"id": User::numbered(651).id}]));
    assert_eq!(second["@odata.nextLink"], Value::Null);
    let beyond = rig.get(&token, "/v1.0/communications/presences?$skiptoken=99999999").await.json();
    assert_eq!(beyond["value"], json!([]));
    let answer = rig.get(&token, "/v1.0/communications/presences?$skiptoken=-1").await;
    answer.is_graph_error(400, "BadRequest", "The skip token is invalid.");

    let own = rig.get(&rig.user_token().await, "/v1.0/communications/presences").await.json();
    assert_eq!(own["value"].as_array().unwrap().len(), 1, "without Presence.Read.All, only the user's own");
    assert_eq!(own["value"][0]["id"], USER);
}

#[tokio::test]
async fn a_user_can_be_read_with_a_permission_for_users() {
    let rig = Rig::with(directory(2)).await;
    let user = rig.device_sign_in("User.Read").await.text("access_token");
    let me = rig.get(&user, "/v1.0/me").await.json();
    assert_eq!(me["@odata.context"], "https://graph.microsoft.com/v1.0/$metadata#users/$entity");
    assert_eq!((&me["id"], &me["displayName"]), (&json!(USER), &json!("me")));
    assert_eq!(me["userPrincipalName"], User::DEFAULT_PRINCIPAL_NAME);
    assert_eq!((&me["businessPhones"], &me["jobTitle"]), (&json!([]), &Value::Null));
    let second = User::numbered(2);
    rig.get(&user, &format!("/v1.0/users/{}", second.id)).await.is_graph_error(403, "Forbidden", "");

    let app = rig.app_token().await;
    for path in [format!("users/{}", second.principal_name), format!("users('{}')", second.id)] {
        let read = rig.get(&app, &format!("/v1.0/{path}?$select=id,displayName")).await.json();
        let context = "https://graph.microsoft.com/v1.0/$metadata#users(id,displayName)/$entity";
        assert_eq!(read, json!({"@odata.context": context, "id": second.id, "displayName": "user2"}));
    }
    let answer = rig.get(&app, "/v1.0/users/nobody").await;
    answer.is_graph_error(404, "NotFound", "User 'nobody' does not exist.");
    let answer = rig.get(&app, "/v1.0/me").await;
    answer.is_graph_error(400, "BadRequest", "/me request is only valid with delegated authentication flow.");

    let app = App { roles: vec!["Presence.ReadWrite.All".to_owned()], ..App::default() };
    let rig = Rig::with(Options { apps: vec![app], ..Options::default() }).await;
    let token = rig.app_token().await;
    rig.get(&token, &format!("/v1.0/users/{USER}")).await.is_graph_error(403, "Forbidden", "");
}

#[tokio::test]
async fn each_answer_says_what_it_rests_on() {
    let rig = Rig::new().await;
    let token = rig.app_token().await;
    let basis = |answer: &Answer| answer.header("x-presenced-basis").to_owned();
    assert_eq!(basis(&rig.set(&token, "Busy", "InACall", "PT5M").await), "documented");
    assert_eq!(basis(&rig.set(&token, "Busy", "InACall", "PT4M").await), "reported");
    assert_eq!(basis(&rig.set(&token, "Busy", "Dancing", "PT5M").await), "inferred");
    assert_eq!(basis(&rig.get("x.y.z", &path_of(1)).await), "reported");
    assert_eq!(basis(&rig.get(&token, &path_of(1)).await), "documented");
    assert_eq!(basis(&rig.get(&token, "/v1.0/communications/presences").await), "inferred");
    let parts = json!({"requests": [{"id": "1", "method": "GET", "url": format!("/users/{USER}/presence")},
        {"id": "2", "method": "GET", "url": "/users/nobody/presence"},
        {"id": "3", "method": "GET", "url": "/me/presence", "dependsOn": ["2"]}]});
    let answer = rig.post(&token, "/v1.0/$batch", parts).await;
    assert_eq!(basis(&answer), "documented");
    let of_part = |part: usize| answer.json()["responses"][part]["headers"]["x-presenced-basis"].clone();
    assert_eq!((of_part(0), of_part(1), of_part(2)), (json!("documented"), json!("inferred"), json!("documented")));
    assert!(BEHAVIOURS.iter().any(|behaviour| behaviour.case == "$batch"));
}
