//! The provider: what it says of itself, fetched when it is needed, and its word about a person.

use std::{
    error::Error,
    fmt::Display,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use openidconnect::{
    AccessTokenHash, AdditionalClaims, AuthType, AuthorizationCode, ClaimsVerificationError,
    Client, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, StandardErrorResponse, StandardTokenResponse, TokenResponse,
    UserInfoClaims,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod,
        CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreRevocableToken,
        CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Refused,
    http::{AskError, Http},
    person::{self, Claims},
    seal::Attempt,
};
use crate::config::OpenIdConnect;

/// How long what the provider says of itself is believed.
const KNOWN_FOR: Duration = Duration::from_secs(3_600);
/// How old it is at least when it is fetched again because of a key that is not in it.
const NEW_KEYS_AFTER: Duration = Duration::from_secs(30);
/// What is shown of a text of the provider, in characters.
const SHOWN: usize = 300;
/// Ways to sign that are taken: with a key that only the provider has. So neither `none` nor HMAC, whose
/// key would be a text that others may have seen.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// All claims that the standard does not name.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Further(#[serde(default)] Claims);

impl AdditionalClaims for Further {}

type Tokens = StandardTokenResponse<
    IdTokenFields<
        Further,
        EmptyExtraTokenFields,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >,
    CoreTokenType,
>;

type Party = Client<
    Further,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A refusal with its particulars, which are for the log alone.
pub type Because = (Refused, String);

/// What is asked of the provider. All of it blocks.
pub struct Provider {
    http: Http,
    known: Mutex<Option<Known>>,
}

#[derive(Clone)]
struct Known {
    metadata: Arc<CoreProviderMetadata>,
    at: Instant,
}

impl Provider {
    pub fn new(http: Http) -> Provider {
        Provider { http, known: Mutex::new(None) }
    }

    /// What the provider says of itself. One caller at a time fetches it, the others get what it got.
    fn metadata(&self, settings: &OpenIdConnect, at_most: Duration) -> Result<Known, Because> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| known.at.elapsed() < at_most) {
            return Ok(known.clone());
        }
        let issuer = IssuerUrl::new(settings.issuer.clone());
        let issuer = issuer.map_err(|error| (Refused::NoProvider, chain(&error)))?;
        let metadata = CoreProviderMetadata::discover(&issuer, &self.http)
            .map_err(|error| (Refused::NoProvider, chain(&error)))?;
        let fresh = Known { metadata: Arc::new(metadata), at: Instant::now() };
        *known = Some(fresh.clone());
        Ok(fresh)
    }

    /// Makes what is known older.
    #[cfg(test)]
    pub fn age(&self, by: Duration) {
        let mut known = self.known.lock().unwrap();
        let known = known.as_mut().unwrap();
        known.at = known.at.checked_sub(by).unwrap();
    }

    /// Where a browser goes to sign in, and what has to be kept until it is back.
    pub fn begin(
        &self,
        settings: &OpenIdConnect,
        next: &str,
        until: i64,
    ) -> Result<(String, Attempt), Because> {
        let known = self.metadata(settings, KNOWN_FOR)?;
        let party = party(settings, &known.metadata)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let request = party
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .add_scopes(settings.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge);
        let (address, state, nonce) = request.url();
        let address = address.to_string();
        if !address.parse().is_ok_and(|address| crate::config::is_safe(&address)) {
            let why = "the address at which people sign in is neither https nor on this machine";
            return Err((Refused::NoProvider, why.into()));
        }
        let attempt = Attempt {
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
            next: next.into(),
            until,
        };
        Ok((address, attempt))
    }

    /// What the provider says of the person for whom it has given out `code`.
    pub fn claims(
        &self,
        settings: &OpenIdConnect,
        attempt: Attempt,
        code: String,
    ) -> Result<Claims, Because> {
        let known = self.metadata(settings, KNOWN_FOR)?;
        let first = party(settings, &known.metadata)?;
        let nonce = Nonce::new(attempt.nonce);
        let exchange = first.exchange_code(AuthorizationCode::new(code)).map_err(untrusted)?;
        let exchange = exchange.set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier));
        let tokens = exchange.request(&self.http).map_err(|error| no_tokens(&error))?;
        let (party, claims) = match verified(&first, &tokens, &nonce) {
            Err(Unverified::NewKey) if known.at.elapsed() >= NEW_KEYS_AFTER => {
                // The provider has changed its keys.
                let known = self.metadata(settings, NEW_KEYS_AFTER)?;
                let party = party(settings, &known.metadata)?;
                let claims = verified(&party, &tokens, &nonce).map_err(Because::from)?;
                (party, claims)
            }
            claims => (first, claims.map_err(Because::from)?),
        };
        match person::lacks_something(settings, &claims) {
            true => self.with_more(&party, &tokens, claims),
            false => Ok(claims),
        }
    }

    /// Adds what the provider tells only when it is asked. What it has signed counts.
    fn with_more(&self, party: &Party, tokens: &Tokens, claims: Claims) -> Result<Claims, Because> {
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        let subject = openidconnect::SubjectIdentifier::new(subject.to_owned());
        let Ok(request) = party.user_info(tokens.access_token().clone(), Some(subject)) else {
            // It does not offer this.
            return Ok(claims);
        };
        let more: UserInfoClaims<Further, CoreGenderClaim> =
            request.request(&self.http).map_err(|error| (Refused::NoProvider, chain(&error)))?;
        let mut all = as_map(&more);
        all.extend(claims);
        Ok(all)
    }
}

/// Us, as this provider knows us.
fn party(settings: &OpenIdConnect, metadata: &CoreProviderMetadata) -> Result<Party, Because> {
    let secret = Some(&settings.client_secret).filter(|secret| !secret.is_empty());
    let secret = secret.map(|secret| ClientSecret::new(secret.expose().to_owned()));
    let client = ClientId::new(settings.client_id.clone());
    let back = RedirectUrl::new(settings.redirect_url.clone()).map_err(untrusted)?;
    let methods = metadata.token_endpoint_auth_methods_supported();
    // Without a word of the provider it is Basic, by the standard.
    let in_body = methods.is_some_and(|methods| {
        methods.contains(&CoreClientAuthMethod::ClientSecretPost)
            && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
    });
    let how = if in_body { AuthType::RequestBody } else { AuthType::BasicAuth };
    let party = Client::from_provider_metadata(metadata.clone(), client, secret);
    Ok(party.set_redirect_uri(back).set_auth_type(how))
}

/// Why a provider's word is not believed.
enum Unverified {
    /// It is signed with none of the keys that the provider named when it was last asked.
    NewKey,
    Other(Because),
}

impl From<Unverified> for Because {
    fn from(why: Unverified) -> Because {
        match why {
            Unverified::NewKey => (
                Refused::Untrusted,
                "it is signed with none of the keys that the provider names".into(),
            ),
            Unverified::Other(because) => because,
        }
    }
}

/// The claims of an ID token, if it is from this provider, for us, for this attempt, and not too old.
fn verified(party: &Party, tokens: &Tokens, nonce: &Nonce) -> Result<Claims, Unverified> {
    let other = |why: &str| Unverified::Other((Refused::Untrusted, why.into()));
    let token = tokens.id_token().ok_or_else(|| other("the provider gave no ID token"))?;
    let verifier = party.id_token_verifier().set_allowed_algs(ALGORITHMS);
    let claims = token.claims(&verifier, nonce).map_err(|error| match error {
        ClaimsVerificationError::SignatureVerification(
            SignatureVerificationError::NoMatchingKey | SignatureVerificationError::CryptoError(_),
        ) => Unverified::NewKey,
        ClaimsVerificationError::Expired(_) => Unverified::Other((Refused::Clock, chain(&error))),
        _ => Unverified::Other((Refused::Untrusted, chain(&error))),
    })?;
    if let Some(expected) = claims.access_token_hash() {
        let algorithm = token.signing_alg().map_err(|error| other(&chain(&error)))?;
        let key = token.signing_key(&verifier).map_err(|error| other(&chain(&error)))?;
        let actual = AccessTokenHash::from_token(tokens.access_token(), algorithm, key);
        if actual.map_err(|error| other(&chain(&error)))? != *expected {
            return Err(other("the access token is not the one that the ID token names"));
        }
    }
    Ok(as_map(claims))
}

fn as_map(claims: &impl Serialize) -> Claims {
    match serde_json::to_value(claims) {
        Ok(Value::Object(claims)) => claims,
        _ => Claims::new(),
    }
}

/// Why a code was not taken.
fn no_tokens(
    error: &RequestTokenError<AskError, StandardErrorResponse<CoreErrorResponseType>>,
) -> Because {
    match error {
        RequestTokenError::ServerResponse(said) => {
            let refused = match said.error() {
                CoreErrorResponseType::InvalidGrant => Refused::UsedCode,
                _ => Refused::WrongClient,
            };
            let more = said.error_description().map(|text| format!(": {text}"));
            (refused, shown(&format!("{}{}", said.error().as_ref(), more.unwrap_or_default())))
        }
        // Its text may have a token in it, so only the place is told.
        RequestTokenError::Parse(error, _) => {
            (Refused::NoProvider, shown(&error.path().to_string()))
        }
        RequestTokenError::Request(error) => (Refused::NoProvider, chain(error)),
        RequestTokenError::Other(why) => (Refused::NoProvider, shown(why)),
    }
}

fn untrusted(error: impl Error) -> Because {
    (Refused::NoProvider, chain(&error))
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    shown(&text)
}

/// A text of others on one line, of bounded length.
pub fn shown(text: &impl Display) -> String {
    let text = text.to_string();
    let escaped: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() { format!("{escaped}…") } else { escaped }
}
