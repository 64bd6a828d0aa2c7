//! Bodies of Stripe's v1 API: forms whose keys are nested by brackets, read into the JSON that they stand for.

use serde_json::{Map, Value, json};

/// Deeper nesting is refused: no parameter of the API has it.
const MOST_DEPTH: usize = 12;

/// A form's parameters. Numbered keys (`phases[0]`) become lists in the order of their numbers.
pub fn read(body: &[u8]) -> Result<Value, String> {
    let mut root = json!({});
    for (key, value) in url::form_urlencoded::parse(body) {
        let path = path(&key)?;
        put(&mut root, &path, &value).map_err(|()| format!("{key} is given as a value and as an object"))?;
    }
    Ok(lists(root))
}

fn path(key: &str) -> Result<Vec<&str>, String> {
    let (first, mut rest) = key.split_at(key.find('[').unwrap_or(key.len()));
    let mut path = vec![first];
    while let Some(inner) = rest.strip_prefix('[') {
        let (part, after) = inner.split_once(']').ok_or_else(|| format!("{key} has a bracket that does not close"))?;
        path.push(part);
        rest = after;
    }
    if !rest.is_empty() || path.len() > MOST_DEPTH || first.is_empty() {
        return Err(format!("{key} is no name of a parameter"));
    }
    Ok(path)
}

fn put(at: &mut Value, path: &[&str], value: &str) -> Result<(), ()> {
    let Some((first, rest)) = path.split_first() else {
        *at = value.into();
        return Ok(());
    };
    if at.is_null() {
        *at = json!({});
    }
    let fields = at.as_object_mut().ok_or(())?;
    // `expand[]` adds to a list.
    let name = if first.is_empty() { fields.len().to_string() } else { (*first).to_owned() };
    put(fields.entry(name).or_insert(Value::Null), rest, value)
}

fn lists(value: Value) -> Value {
    let Value::Object(fields) = value else { return value };
    let numbers: Option<Vec<u64>> = fields.keys().map(|key| key.parse().ok()).collect();
    match numbers {
        Some(_) if !fields.is_empty() => {
            let mut rows: Vec<(u64, Value)> =
                fields.into_iter().filter_map(|(key, value)| Some((key.parse().ok()?, lists(value)))).collect();
            rows.sort_by_key(|(number, _)| *number);
            rows.into_iter().map(|(_, value)| value).collect()
        }
        Some(_) | None => {
            Value::Object(fields.into_iter().map(|(key, value)| (key, lists(value))).collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_keys_become_objects_and_lists() {
        let read = read(
            b"customer=cus_1&phases[0][items][0][price]=p&phases[0][items][0][quantity]=2&phases[1][a]=b&x[]=1&x[]=2",
        );
        let expected = json!({
            "customer": "cus_1",
            "phases": [{ "items": [{ "price": "p", "quantity": "2" }] }, { "a": "b" }],
            "x": ["1", "2"],
        });
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn what_is_no_parameter_is_refused() {
        assert!(read(b"a[b=1").is_err());
        assert!(read(b"a=1&a[b]=2").is_err());
        assert!(read(b"[a]=1").is_err());
    }
}
