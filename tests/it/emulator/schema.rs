//! The emulator's actions have the parameters of Microsoft's schema, and no others.

use super::*;
use crate::stage::schema::actions;

#[tokio::test]
async fn each_action_has_the_parameters_of_the_schema() {
    let rig = Rig::new().await;
    let token = rig.device_sign_in("Presence.ReadWrite Presence.Read.All").await.text("access_token");
    for (name, parameters) in actions() {
        let path = match name.as_str() {
            "getPresencesByUserId" => "/v1.0/communications/getPresencesByUserId".to_owned(),
            name => action(name),
        };
        // All parameters at once, with values that no action accepts: they are known, whatever else is wrong.
        let all: serde_json::Map<String, Value> = parameters.keys().map(|name| (name.clone(), json!({}))).collect();
        let answer = rig.post(&token, &path, Value::Object(all)).await;
        assert!(!answer.body.contains("not a valid parameter"), "{name}: {answer:?}");
        let answer = rig.post(&token, &path, json!({"mood": 1})).await;
        assert!(answer.body.contains("The parameter 'mood'"), "{name}: {answer:?}");
        for (missing, parameter) in &parameters {
            let rest = json!({"availability": "Away", "activity": "Away", "sessionId": APP});
            let known = |name: &String| parameters.contains_key(name) && name != missing;
            let rest: serde_json::Map<String, Value> =
                rest.as_object().unwrap().clone().into_iter().filter(|(name, _)| known(name)).collect();
            if !parameter.nullable {
                let answer = rig.post(&token, &path, Value::Object(rest)).await;
                assert_eq!(answer.json()["error"]["code"], "InvalidArgument", "{name} without {missing}: {answer:?}");
            }
        }
    }
}
