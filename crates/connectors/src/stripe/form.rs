//! Bodies of Stripe's v1 API: forms whose keys are nested by brackets.

use url::form_urlencoded;

/// A form in the order in which it was filled.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn add(&mut self, key: impl Into<String>, value: impl ToString) {
        self.0.push((key.into(), value.to_string()));
    }

    pub(super) fn add_some(&mut self, key: impl Into<String>, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.add(key, value);
        }
    }

    /// The form below `prefix`: `phases[0][items][1]`.
    pub(super) fn within(&mut self, prefix: &str, inner: Self) {
        for (key, value) in inner.0 {
            let (name, rest) = key.split_at(key.find('[').unwrap_or(key.len()));
            self.0.push((format!("{prefix}[{name}]{rest}"), value));
        }
    }

    pub(super) fn encoded(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_nested_by_brackets() {
        let mut item = Form::default();
        item.add("price", "price_1");
        item.add("metadata[tl_line_id]", "L 1&2");
        let mut form = Form::default();
        form.add_some("customer", Some("cus_1"));
        form.add_some("email", None::<&str>);
        form.within("phases[0][items][0]", item);
        let decoded: Vec<_> = form_urlencoded::parse(form.encoded().as_bytes()).into_owned().collect();
        let expected = [
            ("customer", "cus_1"),
            ("phases[0][items][0][price]", "price_1"),
            ("phases[0][items][0][metadata][tl_line_id]", "L 1&2"),
        ];
        assert_eq!(decoded, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}
