//! The users of the directory, found by object id or principal name in the same time however many there are.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::options::User;

/// The users.
#[derive(Debug)]
pub(super) struct Directory {
    users: Vec<User>,
    /// The place of each object id and of each principal name, in lower case.
    places: HashMap<String, usize>,
}

impl Directory {
    /// A directory of `users`. If two have the same id or name, it finds the first.
    pub(super) fn new(users: Vec<User>) -> Self {
        let mut places = HashMap::with_capacity(2 * users.len());
        for (place, user) in users.iter().enumerate() {
            places.entry(user.id.to_ascii_lowercase()).or_insert(place);
            places.entry(user.principal_name.to_ascii_lowercase()).or_insert(place);
        }
        Self { users, places }
    }

    /// The users in their order.
    pub(super) fn users(&self) -> &[User] {
        &self.users
    }

    /// The place among [`users`](Self::users) of the one with this object id or principal name. ASCII case does not matter.
    pub(super) fn place(&self, id: &str) -> Option<usize> {
        self.places.get(&id.to_ascii_lowercase()).copied()
    }

    /// The user with this object id or principal name.
    pub(super) fn user(&self, id: &str) -> Option<&User> {
        self.place(id).map(|place| &self.users[place])
    }

    /// All users in the form of a users file: on each line the object id, a space, and the local part of the principal name.
    pub(super) fn users_file(&self) -> String {
        let mut text = String::new();
        for user in &self.users {
            let name = user.principal_name.split('@').next().unwrap_or_default();
            // Writing to a `String` never fails.
            let _ = writeln!(text, "{} {name}", user.id);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_either_name_in_any_case() {
        let directory = Directory::new((1..=3).map(User::numbered).collect());
        assert_eq!(directory.place("USER2@contoso.onmicrosoft.com"), Some(1));
        assert_eq!(directory.user(&User::numbered(3).id.to_ascii_uppercase()), Some(&User::numbered(3)));
        assert_eq!(directory.place("user4@contoso.onmicrosoft.com"), None);
    }

    #[test]
    fn of_two_users_with_one_name_the_first_is_found() {
        let twin = User { id: "twin".to_owned(), ..User::numbered(2) };
        let directory = Directory::new(vec![User::numbered(2), twin]);
        assert_eq!(directory.user("user2@contoso.onmicrosoft.com"), Some(&User::numbered(2)));
        assert_eq!(directory.place("twin"), Some(1));
    }

    #[test]
    fn the_users_file_has_an_id_and_a_name_on_each_line() {
        let directory = Directory::new(vec![User::default(), User::numbered(2)]);
        let second = User::numbered(2).id;
        assert_eq!(directory.users_file(), format!("{} me\n{second} user2\n", User::DEFAULT_ID));
    }
}
