//! An identity platform over SCIM 2.0 (RFC 7643, RFC 7644): users and groups found by our `externalId` and made where they are not there.

mod answer;

use crate::{
    AdminGroup, AdminUser, Cause, EnsureGroups, EnsureUsers, Error, FindIdentities, IdentityPlatform, Recorded,
    error::queue,
    oauth::{Call, Client, Options},
};
use answer::{failure, is_taken, listed};
use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Value, json};
use std::fmt;

pub(crate) const SYSTEM: &str = "the identity platform";
const SCIM: &str = "application/scim+json";
/// Schemas of RFC 7643 §4.
pub const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// One identity platform.
pub struct Scim {
    client: Client,
}

impl fmt::Debug for Scim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scim").field("base", &self.client.base().as_str()).finish_non_exhaustive()
    }
}

/// A user as it is sent.
#[must_use]
pub fn user_body(user: &AdminUser) -> Value {
    let mut body = json!({
        "schemas": [USER_SCHEMA],
        "externalId": user.user_id,
        "userName": user.email,
        "displayName": user.display_name,
        "emails": [{ "value": user.email, "type": "work", "primary": true }],
        "active": true,
    });
    if let Some(locale) = &user.locale {
        body["locale"] = locale.as_str().into();
    }
    body
}

/// A group as it is sent, with the platform's id of its member.
#[must_use]
pub fn group_body(group: &AdminGroup, member: &str) -> Value {
    json!({
        "schemas": [GROUP_SCHEMA],
        "externalId": group.group_id,
        "displayName": format!("{} administrators", group.account_id),
        "members": [{ "value": member, "type": "User" }],
    })
}

impl Scim {
    /// Connects nothing yet: the first call signs in. `base_url` is that of the service, without `/Users`.
    ///
    /// # Errors
    /// Every option that cannot be used, each with what to do about it.
    pub fn try_new(options: Options) -> Result<Self, Vec<String>> {
        Ok(Self { client: Client::try_new(SYSTEM, options)? })
    }

    /// The resource of our id, by the platform's own.
    async fn find(&self, cause: &Cause, kind: &str, external_id: &str) -> Result<Option<Recorded>, Error> {
        let mut url = self.client.url(&[kind]);
        url.query_pairs_mut().append_pair("filter", &format!("externalId eq {}", json!(external_id)));
        let call = Call { method: Method::GET, url, content_type: SCIM, body: None, idempotency_key: None };
        let answer = self.client.call(cause, &call).await?;
        if answer.status.as_u16() != 200 {
            return Err(failure(false, &answer));
        }
        match &listed(&answer)?[..] {
            [] => Ok(None),
            [id] => Ok(Some(recorded(id, external_id, true))),
            _ => Err(Error::Refused {
                code: "IDENTITY_DUPLICATE",
                queue: queue::MASTER_DATA,
                field: Some("externalId".into()),
                reason: format!("several {kind} have the id `{external_id}`"),
            }),
        }
    }

    async fn make(&self, cause: &Cause, kind: &str, external_id: &str, body: &Value) -> Result<Recorded, Error> {
        let url = self.client.url(&[kind]);
        let call = Call { method: Method::POST, url, content_type: SCIM, body: Some(body), idempotency_key: None };
        let answer = self.client.call(cause, &call).await?;
        if answer.status.as_u16() == 201 {
            let id = answer::made(&answer)?;
            return Ok(recorded(&id, external_id, false));
        }
        // What is taken may be what an earlier call of ours made.
        if is_taken(&answer)
            && let Some(found) = self.find(cause, kind, external_id).await?
        {
            return Ok(found);
        }
        Err(failure(true, &answer))
    }
}

fn recorded(id: &str, external_id: &str, existed: bool) -> Recorded {
    Recorded { id: id.to_owned(), external_id: external_id.to_owned(), number: None, existed, redated: None }
}

#[async_trait]
impl EnsureUsers for Scim {
    async fn ensure_user(&self, cause: &Cause, user: &AdminUser) -> Result<Recorded, Error> {
        match self.find(cause, "Users", &user.user_id).await? {
            Some(found) => Ok(found),
            None => self.make(cause, "Users", &user.user_id, &user_body(user)).await,
        }
    }
}

#[async_trait]
impl EnsureGroups for Scim {
    async fn ensure_group(&self, cause: &Cause, group: &AdminGroup) -> Result<Recorded, Error> {
        if let Some(found) = self.find(cause, "Groups", &group.group_id).await? {
            return Ok(found);
        }
        let Some(member) = self.find(cause, "Users", &group.member_id).await? else {
            return Err(Error::Refused {
                code: "REFUSED_BY_IDENTITY",
                queue: queue::MASTER_DATA,
                field: Some("members".into()),
                reason: format!("there is no user `{}` to be the group's first member", group.member_id),
            });
        };
        self.make(cause, "Groups", &group.group_id, &group_body(group, &member.id)).await
    }
}

#[async_trait]
impl FindIdentities for Scim {
    async fn find_user(&self, cause: &Cause, user_id: &str) -> Result<Option<Recorded>, Error> {
        self.find(cause, "Users", user_id).await
    }

    async fn find_group(&self, cause: &Cause, group_id: &str) -> Result<Option<Recorded>, Error> {
        self.find(cause, "Groups", group_id).await
    }
}

impl IdentityPlatform for Scim {}
