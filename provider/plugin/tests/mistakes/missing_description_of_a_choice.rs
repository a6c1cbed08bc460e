use paymesh_plugin::spec::Choice;

#[derive(Clone, Debug, PartialEq, Choice)]
enum Colour {
    Red,
}
