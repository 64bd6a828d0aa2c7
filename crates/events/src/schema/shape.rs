//! The structure of an Avro schema, as far as reading needs it. Named types may refer to themselves, so nodes stand in a list.

use serde_json::{Map, Value};
use std::collections::HashMap;

/// Place of a node in its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(usize);

#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(Vec<String>),
    Array(NodeId),
    Map(NodeId),
    Union(Vec<NodeId>),
    Record(Vec<Field>),
    Date,
    TimestampMicros,
    Decimal {
        precision: u32,
        scale: u32,
    },
    /// A logical type that we do not use, such as timestamp-millis, with the plain type below.
    Other(String, Box<Node>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub node: NodeId,
    pub has_default: bool,
}

pub struct Shape {
    nodes: Vec<Node>,
    root: NodeId,
    root_name: Option<String>,
}

struct Parser {
    nodes: Vec<Node>,
    names: HashMap<String, NodeId>,
}

impl Shape {
    pub fn parse(schema: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(schema).map_err(|error| format!("not JSON: {error}"))?;
        let mut parser = Parser { nodes: Vec::new(), names: HashMap::new() };
        let root = parser.node(&json, "")?;
        let root_name = json.as_object().filter(|o| is_type(o, "record")).and_then(|o| full_name(o, "").ok());
        Ok(Self { nodes: parser.nodes, root, root_name })
    }

    pub fn root(&self) -> NodeId {
        self.root
    }

    /// Full name of the record at the root.
    pub fn root_name(&self) -> Option<&str> {
        self.root_name.as_deref()
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Whether some list or map has items that may take no byte: then a count says nothing about the size of the datum.
    pub fn has_weightless_items(&self) -> bool {
        self.nodes.iter().any(|node| match node {
            Node::Array(items) => self.may_be_empty(*items, &mut Vec::new()),
            _ => false,
        })
    }

    fn may_be_empty(&self, id: NodeId, above: &mut Vec<NodeId>) -> bool {
        if above.contains(&id) {
            return true;
        }
        above.push(id);
        let empty = match self.node(id) {
            Node::Null | Node::Fixed(0) => true,
            Node::Record(fields) => fields.iter().all(|field| self.may_be_empty(field.node, above)),
            Node::Other(_, plain) => matches!(**plain, Node::Fixed(0)),
            _ => false,
        };
        above.pop();
        empty
    }
}

impl Parser {
    fn node(&mut self, json: &Value, namespace: &str) -> Result<NodeId, String> {
        match json {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.node(branch, namespace)).collect::<Result<_, _>>()?;
                Ok(self.push(Node::Union(branches)))
            }
            Value::Object(object) => self.complex(object, namespace),
            _ => Err("a type is a text, a list or an object".to_owned()),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<NodeId, String> {
        let node = match name {
            "null" => Node::Null,
            "boolean" => Node::Boolean,
            "int" => Node::Int,
            "long" => Node::Long,
            "float" => Node::Float,
            "double" => Node::Double,
            "bytes" => Node::Bytes,
            "string" => Node::String,
            name => {
                let qualified = qualify(name, namespace);
                let known = self.names.get(&qualified).or_else(|| self.names.get(name));
                return known.copied().ok_or_else(|| format!("type `{name}` is not defined"));
            }
        };
        Ok(self.push(node))
    }

    fn complex(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<NodeId, String> {
        let kind = object.get("type").ok_or("a type without `type`")?;
        match kind.as_str() {
            Some("record" | "error") => self.record(object, namespace),
            Some("enum") => {
                let symbols = object.get("symbols").and_then(Value::as_array).ok_or("an enum without `symbols`")?;
                let symbols = symbols.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                self.define(object, namespace, Node::Enum(symbols))
            }
            Some("fixed") => {
                let size = object.get("size").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
                let node = logical(object, Node::Fixed(size.ok_or("a fixed without `size`")?));
                self.define(object, namespace, node)
            }
            Some("array") => {
                let items = self.node(object.get("items").ok_or("an array without `items`")?, namespace)?;
                Ok(self.push(Node::Array(items)))
            }
            Some("map") => {
                let values = self.node(object.get("values").ok_or("a map without `values`")?, namespace)?;
                Ok(self.push(Node::Map(values)))
            }
            _ => {
                let id = self.node(kind, namespace)?;
                if !object.contains_key("logicalType") {
                    return Ok(id);
                }
                let plain = self.nodes[id.0].clone();
                Ok(self.push(logical(object, plain)))
            }
        }
    }

    fn record(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<NodeId, String> {
        let id = self.define(object, namespace, Node::Record(Vec::new()))?;
        let full = full_name(object, namespace)?;
        let inner = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
        let mut fields = Vec::new();
        for field in object.get("fields").and_then(Value::as_array).ok_or("a record without `fields`")? {
            let name = field.get("name").and_then(Value::as_str).ok_or("a field without `name`")?.to_owned();
            let kind = field.get("type").ok_or_else(|| format!("field `{name}` has no type"))?;
            let node = self.node(kind, &inner).map_err(|error| format!("field `{name}`: {error}"))?;
            fields.push(Field { name, node, has_default: field.get("default").is_some() });
        }
        self.nodes[id.0] = Node::Record(fields);
        Ok(id)
    }

    fn define(&mut self, object: &Map<String, Value>, namespace: &str, node: Node) -> Result<NodeId, String> {
        let id = self.push(node);
        self.names.insert(full_name(object, namespace)?, id);
        Ok(id)
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }
}

fn is_type(object: &Map<String, Value>, kind: &str) -> bool {
    object.get("type").and_then(Value::as_str) == Some(kind)
}

fn full_name(object: &Map<String, Value>, namespace: &str) -> Result<String, String> {
    let name = object.get("name").and_then(Value::as_str).ok_or("a named type without `name`")?;
    Ok(qualify(name, object.get("namespace").and_then(Value::as_str).unwrap_or(namespace)))
}

fn qualify(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn logical(object: &Map<String, Value>, plain: Node) -> Node {
    let number = |key: &str| object.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    match (object.get("logicalType").and_then(Value::as_str), &plain) {
        (None, _) | (Some("uuid"), Node::String) => plain,
        (Some("date"), Node::Int) => Node::Date,
        (Some("timestamp-micros"), Node::Long) => Node::TimestampMicros,
        (Some("decimal"), Node::Bytes) => Node::Decimal { precision: number("precision"), scale: number("scale") },
        (Some(other), _) => Node::Other(other.to_owned(), Box::new(plain)),
    }
}
