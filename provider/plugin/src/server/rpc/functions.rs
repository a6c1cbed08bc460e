//! `GetFunctions`, `CallFunction`.

use std::sync::Arc;

use crate::{
    function::{ArgumentError, Function},
    provider::Provider,
    server::Server,
    value::Value,
    wire::{
        dynamic, schema,
        tfplugin6::{DynamicValue, FunctionError, call_function, get_functions},
    },
};

pub(in crate::server) async fn list<P: Provider>(
    server: Arc<Server<P>>,
    _: get_functions::Request,
) -> get_functions::Response {
    let functions = server
        .parts
        .functions
        .iter()
        .map(|(name, function)| (name.clone(), schema::function(&function.signature())))
        .collect();
    get_functions::Response {
        functions,
        diagnostics: Vec::new(),
    }
}

pub(in crate::server) async fn call<P: Provider>(
    server: Arc<Server<P>>,
    request: call_function::Request,
) -> call_function::Response {
    let Some(function) = server.parts.functions.get(&request.name) else {
        let text = format!("the provider has no function {:?}", request.name);
        return failed(ArgumentError {
            argument: None,
            text,
        });
    };
    match called(&**function, &request.arguments) {
        Ok(result) => call_function::Response {
            result: Some(result),
            error: None,
        },
        Err(error) => failed(error),
    }
}

fn called(
    function: &dyn Function,
    arguments: &[DynamicValue],
) -> Result<DynamicValue, ArgumentError> {
    let signature = function.signature();
    let parameters = signature.parameters.len();
    if arguments.len() < parameters
        || (arguments.len() > parameters && signature.variadic.is_none())
    {
        let text = format!(
            "{} takes {parameters} arguments, not {}",
            signature.name,
            arguments.len()
        );
        return Err(ArgumentError {
            argument: None,
            text,
        });
    }
    let values = arguments
        .iter()
        .enumerate()
        .map(|(index, argument)| {
            let parameter = signature
                .parameters
                .get(index)
                .or(signature.variadic.as_ref());
            let kind = parameter.map(|parameter| &parameter.kind);
            let kind = kind.ok_or_else(|| ArgumentError::at(index, "one argument too many"))?;
            dynamic::decode(Some(argument), kind)
                .map_err(|error| ArgumentError::at(index, error.to_string()))
        })
        .collect::<Result<Vec<Value>, _>>()?;
    let result = function.call(&values)?;
    dynamic::encode(&result, &signature.result).map_err(|error| ArgumentError {
        argument: None,
        text: format!("the result does not fit the signature ({error}), a defect of the provider"),
    })
}

fn failed(error: ArgumentError) -> call_function::Response {
    let function_argument = error.argument.and_then(|index| i64::try_from(index).ok());
    call_function::Response {
        result: None,
        error: Some(FunctionError {
            text: error.text,
            function_argument,
        }),
    }
}
