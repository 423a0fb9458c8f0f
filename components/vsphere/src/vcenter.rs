//! A vCenter: its two interfaces, and what of them is needed here.

use crate::{
    peer::{self, Answer, PATIENCE, Wrong},
    xml::{self, Element, escape, tag},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::form::{read, written};
use http::Method;
use serde_json::{Value, json};
use std::{cell::RefCell, time::Duration};

/// So many objects are asked for at once.
const PAGE: &str = "250";
/// So many objects of all kinds are read at most.
const MOST: usize = 20_000;
/// How long a deployment may take to be answered. What takes longer goes on at the vCenter, and is found there later.
const DEPLOYMENT: Duration = Duration::from_secs(15);
/// How long it may take to sign out. Who is not signed out is, after half an hour.
const GOODBYE: Duration = Duration::from_secs(2);

/// Something at a vCenter, by the vCenter's own id.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ref {
    /// What it is, for example `VirtualMachine`.
    pub kind: String,
    /// Which one.
    pub id: String,
}

impl Ref {
    /// The object of this kind and id.
    pub fn new(kind: &str, id: &str) -> Self {
        Self { kind: kind.to_owned(), id: id.to_owned() }
    }

    fn of(element: &Element) -> Self {
        Self::new(&element.kind, element.text.trim())
    }

    /// As an element of this name.
    fn tag(&self, name: &str) -> String {
        format!("<{name} type=\"{}\">{}</{name}>", escape(&self.kind), escape(&self.id))
    }
}

/// An object with the properties that were asked for.
#[derive(Debug)]
pub struct Object {
    /// Which one.
    pub this: Ref,
    properties: Vec<(String, Element)>,
}

impl Object {
    /// A property that it has.
    pub fn get(&self, name: &str) -> Option<&Element> {
        self.properties.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The text of a property; empty when it has none.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).map_or("", |value| value.text.as_str())
    }

    /// The object that a property names.
    pub fn reference(&self, name: &str) -> Option<Ref> {
        self.get(name).map(Ref::of)
    }

    /// Its name, where vCenters write some characters as in URLs.
    pub fn name(&self) -> String {
        self.text("name").replace("%2f", "/").replace("%5c", "\\").replace("%25", "%")
    }
}

/// How a task of the vCenter's stands.
#[derive(Debug)]
pub enum TaskState {
    /// It waits or runs.
    Running,
    /// It is done.
    Done,
    /// It failed.
    Failed(Wrong),
}

/// Where a vCenter is and who the hub is to it.
pub struct SignIn {
    /// Its scheme, host and port.
    pub base: String,
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

/// A session at a vCenter.
pub struct Vcenter {
    sign_in: SignIn,
    /// The cookie of its SOAP session.
    cookie: RefCell<Option<String>>,
    /// The id of its REST session.
    session: RefCell<Option<String>>,
    content: Element,
}

impl Vcenter {
    /// Sees who answers there, and signs in.
    pub async fn sign_in(sign_in: SignIn) -> Result<Self, Wrong> {
        let mut vcenter = Self { sign_in, cookie: RefCell::default(), session: RefCell::default(), content: Element::default() };
        let mut answer = vcenter.call("RetrieveServiceContent", &Ref::new("ServiceInstance", "ServiceInstance"), "").await?;
        if let Some(at) = answer.children.iter().position(|child| child.name == "returnval") {
            vcenter.content = answer.children.swap_remove(at);
        }
        if vcenter.about("apiType") != "VirtualCenter" {
            return Err(Wrong::Settled(format!("What answers there is no vCenter but {:?}.", vcenter.about("name"))));
        }
        let body = tag("userName", &vcenter.sign_in.username) + &tag("password", &vcenter.sign_in.password);
        match vcenter.call("Login", &vcenter.manager("sessionManager"), &body).await {
            Err(wrong) if wrong.is(&["InvalidLogin", "NoPermission"]) => Err(Wrong::Settled(format!(
                "The vCenter does not let {} in. See that the user may sign in there, and give the right password.",
                vcenter.sign_in.username
            ))),
            Err(wrong) => Err(wrong),
            Ok(_) => Ok(vcenter),
        }
    }

    /// Ends what sessions there are. That it may fail is why nothing rests on it.
    pub async fn sign_out(&self) {
        if self.cookie.borrow().is_some() {
            let manager = self.manager("sessionManager");
            let _ = self.post("Logout", &manager, "", GOODBYE).await;
        }
        let session = self.session.borrow_mut().take();
        if let Some(session) = session {
            let headers = vec![("vmware-api-session-id", session)];
            let url = format!("{}/rest/com/vmware/cis/session", self.sign_in.base);
            let _ = peer::send(Method::DELETE, &url, headers, String::new(), GOODBYE).await;
        }
    }

    /// What it says of itself.
    pub fn about(&self, what: &str) -> &str {
        self.content.child("about").map_or("", |about| about.text_of(what))
    }

    /// One of the objects that there is one of.
    fn manager(&self, name: &str) -> Ref {
        self.content.child(name).map(Ref::of).unwrap_or_default()
    }

    async fn post(&self, method: &str, this: &Ref, body: &str, patience: Duration) -> Result<Answer, Wrong> {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body><{method} xmlns=\"urn:vim25\">{}{body}</{method}></soapenv:Body></soapenv:Envelope>",
            this.tag("_this")
        );
        let mut headers =
            vec![("content-type", "text/xml; charset=utf-8".to_owned()), ("soapaction", "\"urn:vim25/6.5\"".to_owned())];
        headers.extend(self.cookie.borrow().clone().map(|cookie| ("cookie", cookie)));
        peer::send(Method::POST, &format!("{}/sdk", self.sign_in.base), headers, body, patience).await
    }

    /// Calls a method of an object, and gives its answer: the element `…Response`.
    async fn call(&self, method: &str, this: &Ref, body: &str) -> Result<Element, Wrong> {
        let answer = self.post(method, this, body, PATIENCE).await?;
        if let Some(cookie) = answer.cookie.as_deref().and_then(|cookie| cookie.split(';').next()) {
            *self.cookie.borrow_mut() = Some(cookie.to_owned());
        }
        if !matches!(answer.status, 200 | 500) {
            return Err(Wrong::Settled(format!("The vCenter answers {} at /sdk.", answer.status)));
        }
        let mut envelope = xml::read(&answer.body)?;
        let body = envelope.children.iter_mut().find(|child| child.name == "Body");
        match body.and_then(|body| body.children.pop()) {
            Some(fault) if fault.name == "Fault" => {
                Err(refused(&fault, fault.child("detail").and_then(|d| d.children.first()), "faultstring"))
            }
            Some(answer) if answer.name.strip_suffix("Response") == Some(method) => Ok(answer),
            _ => Err(Wrong::Broken(format!("The vCenter does not answer {method}."))),
        }
    }

    /// Calls a method of which a task of the vCenter's comes.
    pub async fn start(&self, method: &str, this: &Ref, body: &str) -> Result<Ref, Wrong> {
        let answer = self.call(method, this, body).await?;
        let task = answer.child("returnval").map(Ref::of).filter(|task| !task.id.is_empty());
        task.ok_or_else(|| Wrong::Broken(format!("The vCenter names no task for {method}.")))
    }

    /// How a task of the vCenter's stands.
    pub async fn task(&self, task: &Ref) -> Result<TaskState, Wrong> {
        let Some(found) = self.look(task, &["info.state", "info.error"]).await? else { return Ok(TaskState::Done) };
        Ok(match found.text("info.state") {
            "success" => TaskState::Done,
            "error" => {
                let nothing = Element::default();
                let error = found.get("info.error").unwrap_or(&nothing);
                TaskState::Failed(refused(error, error.child("fault"), "localizedMessage"))
            }
            _ => TaskState::Running,
        })
    }

    /// What there is below an object, of these kinds: each with the properties that are named for it.
    pub async fn below(&self, root: &Ref, kinds: &[(&str, &[&str])]) -> Result<Vec<Object>, Wrong> {
        let types: String = kinds.iter().map(|(kind, _)| tag("type", kind)).collect();
        let body = format!("{}{types}<recursive>true</recursive>", root.tag("container"));
        let answer = self.call("CreateContainerView", &self.manager("viewManager"), &body).await?;
        let view = answer.child("returnval").map(Ref::of).unwrap_or_default();
        let select = "<skip>true</skip><selectSet xsi:type=\"TraversalSpec\"><name>view</name><type>ContainerView</type><path>view</path><skip>false</skip></selectSet>";
        let found = self.retrieve(&view, select, kinds).await;
        // A view lasts as long as its session, so this is only tidy.
        if found.is_ok() {
            self.call("DestroyView", &view, "").await?;
        }
        found
    }

    /// The root of what there is.
    pub fn root(&self) -> Ref {
        self.manager("rootFolder")
    }

    /// These properties of an object; nothing when there is no such object any more.
    pub async fn look(&self, this: &Ref, properties: &[&str]) -> Result<Option<Object>, Wrong> {
        match self.retrieve(this, "", &[(&this.kind, properties)]).await {
            Err(gone) if gone.is(&["ManagedObjectNotFound"]) => Ok(None),
            found => Ok(found?.pop()),
        }
    }

    async fn retrieve(&self, from: &Ref, select: &str, kinds: &[(&str, &[&str])]) -> Result<Vec<Object>, Wrong> {
        let mut sets = String::new();
        for (kind, properties) in kinds {
            let paths: String = properties.iter().map(|path| tag("pathSet", path)).collect();
            sets += &format!("<propSet>{}{paths}</propSet>", tag("type", kind));
        }
        let collector = self.manager("propertyCollector");
        let body = format!(
            "<specSet>{sets}<objectSet>{}{select}</objectSet></specSet><options><maxObjects>{PAGE}</maxObjects></options>",
            from.tag("obj")
        );
        let mut page = self.call("RetrievePropertiesEx", &collector, &body).await?;
        let mut found = Vec::new();
        loop {
            let Some(mut result) = page.children.pop() else { return Ok(found) };
            let token = result.text_of("token").to_owned();
            found.extend(result.children.drain(..).filter(|child| child.name == "objects").map(object));
            if token.is_empty() {
                return Ok(found);
            }
            if found.len() > MOST {
                return Err(Wrong::Settled(format!(
                    "The vCenter has more than {MOST} objects, which is more than the hub reads."
                )));
            }
            page = self.call("ContinueRetrievePropertiesEx", &collector, &tag("token", &token)).await?;
        }
    }

    /// The machine whose instance has this UUID.
    pub async fn machine(&self, uuid: &str) -> Result<Option<Ref>, Wrong> {
        let body = format!("{}<vmSearch>true</vmSearch><instanceUuid>true</instanceUuid>", tag("uuid", uuid));
        let answer = self.call("FindByUuid", &self.manager("searchIndex"), &body).await?;
        Ok(answer.child("returnval").map(Ref::of).filter(|found| !found.id.is_empty()))
    }

    /// What has this name in a folder.
    pub async fn child(&self, folder: &Ref, name: &str) -> Result<Option<Ref>, Wrong> {
        let name = name.replace('%', "%25").replace('/', "%2f").replace('\\', "%5c");
        let body = folder.tag("entity") + &tag("name", &name);
        let answer = self.call("FindChild", &self.manager("searchIndex"), &body).await?;
        Ok(answer.child("returnval").map(Ref::of).filter(|found| !found.id.is_empty()))
    }

    /// Asks the REST interface, and gives the `value` of its answer.
    async fn rest(&self, path: &str, body: &Value, patience: Duration) -> Result<Value, Wrong> {
        let url = |path: &str| format!("{}/rest/com/vmware/{path}", self.sign_in.base);
        let session = self.session.borrow().clone();
        let session = match session {
            Some(session) => session,
            None => {
                let SignIn { username, password, .. } = &self.sign_in;
                let basic = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
                let answer =
                    peer::send(Method::POST, &url("cis/session"), vec![("authorization", basic)], String::new(), PATIENCE)
                        .await?;
                let session = value(answer)?.as_str().unwrap_or_default().to_owned();
                *self.session.borrow_mut() = Some(session.clone());
                session
            }
        };
        let headers = vec![("content-type", "application/json".to_owned()), ("vmware-api-session-id", session)];
        value(peer::send(Method::POST, &url(path), headers, written(body), patience).await?)
    }

    /// The item of this name in the content libraries.
    pub async fn library_item(&self, name: &str) -> Result<Option<String>, Wrong> {
        let body = json!({ "spec": { "name": name, "type": "ovf" } });
        let found = self.rest("content/library/item?~action=find", &body, PATIENCE).await?;
        Ok(found[0].as_str().map(str::to_owned))
    }

    /// The networks that an item of the content libraries has to be told of, when it is deployed to `target`.
    pub async fn library_item_networks(&self, item: &str, target: &Value) -> Result<Vec<String>, Wrong> {
        let path = format!("vcenter/ovf/library-item/id:{item}?~action=filter");
        let found = self.rest(&path, &json!({ "target": target }), PATIENCE).await?;
        Ok(found["networks"].as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect())
    }

    /// Has an item of the content libraries deployed, and gives the machine. What goes wrong there is [`Wrong::Refused`].
    pub async fn deploy(&self, item: &str, body: &Value) -> Result<Ref, Wrong> {
        let path = format!("vcenter/ovf/library-item/id:{item}?~action=deploy");
        let said = self.rest(&path, body, DEPLOYMENT).await?;
        if said["succeeded"] == true {
            let (kind, id) = (said["resource_id"]["type"].as_str(), said["resource_id"]["id"].as_str());
            return match (kind, id) {
                (Some(kind), Some(id)) => Ok(Ref::new(kind, id)),
                _ => Err(Wrong::Broken("The vCenter does not say what it deployed.".to_owned())),
            };
        }
        let error = &said["error"]["errors"][0];
        let message = [&error["message"], &error["error"]["messages"][0]]
            .into_iter()
            .find_map(|message| message["default_message"].as_str());
        Err(Wrong::Refused { kind: "Deployment".to_owned(), message: short(message.unwrap_or("it does not say why")) })
    }
}

fn object(element: Element) -> Object {
    let this = element.child("obj").map(Ref::of).unwrap_or_default();
    let property = |mut set: Element| {
        let at = set.children.iter().position(|child| child.name == "val")?;
        Some((set.text_of("name").to_owned(), set.children.swap_remove(at)))
    };
    let properties = element.children.into_iter().filter(|child| child.name == "propSet").filter_map(property).collect();
    Object { this, properties }
}

/// What a vCenter says when it refuses, as long as a message is.
fn short(text: &str) -> String {
    text.trim().chars().filter(|character| !character.is_control()).take(300).collect()
}

fn refused(said: &Element, reason: Option<&Element>, text: &str) -> Wrong {
    let kind = reason.map(|reason| match reason.kind.as_str() {
        "" => reason.name.trim_end_matches("Fault").to_owned(),
        kind => kind.to_owned(),
    });
    Wrong::Refused { kind: kind.unwrap_or_default(), message: short(said.text_of(text)) }
}

/// The `value` of an answer of the REST interface.
fn value(answer: Answer) -> Result<Value, Wrong> {
    let mut said = read(&answer.body).unwrap_or_default();
    match answer.status {
        200..=299 if said.is_object() => Ok(said["value"].take()),
        200..=299 => Err(Wrong::Broken("The vCenter's answer cannot be read: it is not JSON.".to_owned())),
        401 => Err(Wrong::Refused { kind: "NotAuthenticated".to_owned(), message: "the session has ended".to_owned() }),
        status => {
            let message = said["value"]["messages"][0]["default_message"].as_str().or(said["type"].as_str());
            Err(Wrong::Refused { kind: format!("{status}"), message: short(message.unwrap_or("it does not say why")) })
        }
    }
}
