use paymesh_plugin::spec::Text;

#[derive(Clone, Debug, PartialEq, Text)]
struct Name(String);
