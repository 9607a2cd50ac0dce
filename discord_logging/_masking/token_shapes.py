"""This module finds the tokens of well-known vendors by their own shape, without a name before them.

`TOKEN_SHAPES` is the table: each vendor's prefix, alphabet and length, as public scanners and vendors document them.
Vendors change lengths, so a telling prefix such as `ghp_` needs only three quarters of the length, and the rest of the
word belongs to the token. A weak prefix such as `key-` needs the exact alphabet and length. Where the alphabet permits
words, a digit or a capital is needed: `hf_hub_download` and `npm_config_registry` are no tokens.

A few public identifiers are left alone: `pk_live_…` of Stripe, account numbers of AWS and Twilio
(`AC…`), and names of AWS roles and users (`AROA…`, `AIDA…`).

The time of a search is proportional to the length of the text. A token begins behind a character that can be no part of
a name, and a pattern fails only after a fixed distance or at such a character: no text is examined more than a fixed
number of times.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from discord_logging._text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator


class TokenShape(NamedTuple):
    """The shape of one kind of token.

    Attributes:
        name: The name of the token: `npm access token`.
        pattern: The regular expression of the whole token. If it has a group, the group is the secret, and the text
            before it says where the secret belongs: `hooks.slack.com/services/`. Letters and digits are those of ASCII.
        example: A token as the vendor documents it. `{alnum:36}` stands for 36 random letters and digits, and square
            brackets enclose the secret if it is only a part.
        source: The page or the rule of a scanner that documents the shape.
    """

    name: str
    pattern: str
    example: str
    source: str


# ruff: noqa: E501 -- one row a line
# fmt: off
TOKEN_SHAPES: tuple[TokenShape, ...] = (
    # Clouds and hosting
    TokenShape("Fernet token", r"gAAAAA[\w-]{60,}=*", "gAAAAA{base64url:114}==", "https://github.com/fernet/spec/blob/master/Spec.md"),
    TokenShape("Django signed value", r"[\w-]{2,1000}:[12][A-Za-z0-9]{5}:[\w-]{27}(?:[\w-]{16})?(?![\w-])", "ImFubiI:1tA1aH:{base64url:43}", "https://docs.djangoproject.com/en/stable/topics/signing"),
    TokenShape("OpenSSH private key without its first line", r"b3BlbnNzaC1rZXktdjE[A-Za-z0-9+/=]{40,}", "b3BlbnNzaC1rZXktdjE{base64:300}", "OpenSSH PROTOCOL.key"),
    TokenShape("macaroon", r"MDAx[\w-]{60,}=*", "MDAxY2xvY2F0aW9u{base64url:200}", "https://research.google/pubs/macaroons-cookies-with-contextual-caveats-for-decentralized-authorization-in-the-cloud"),
    TokenShape("Browserbase API key", r"bb_live_[\w-]{20,}", "bb_live_{alnum:32}", "trufflehog browserbase"),
    TokenShape("AWS access key", r"AKIA[0-9A-Z]{16}(?![0-9A-Za-z])", "AKIA{base32:16}", "gitleaks aws-access-token"),
    TokenShape("AWS temporary access key", r"ASIA[0-9A-Z]{16}(?![0-9A-Za-z])", "ASIA{base32:16}", "gitleaks aws-access-token"),
    TokenShape("AWS bearer access key", r"ABIA[0-9A-Z]{16}(?![0-9A-Za-z])", "ABIA{base32:16}", "gitleaks aws-access-token"),
    TokenShape("AWS context access key", r"ACCA[0-9A-Z]{16}(?![0-9A-Za-z])", "ACCA{base32:16}", "gitleaks aws-access-token"),
    TokenShape("AWS legacy access key", r"A3T[0-9A-Z]{17}(?![0-9A-Za-z])", "A3T{base32:17}", "gitleaks aws-access-token"),
    TokenShape("AWS session token", r"IQoJb3JpZ2lu[\w+/%-]{80,}=*", "IQoJb3JpZ2luX2Vj{base64:400}==", "AWS documentation, temporary security credentials"),
    TokenShape("AWS federation token", r"FwoGZXIvYXdz[\w+/%-]{80,}=*", "FwoGZXIvYXdz{base64:400}==", "AWS documentation, temporary security credentials"),
    TokenShape("AWS legacy session token", r"FQoGZXIvYXdz[\w+/%-]{80,}=*", "FQoGZXIvYXdz{base64:400}==", "AWS documentation, temporary security credentials"),
    TokenShape("AWS Bedrock long-term API key", r"ABSK[A-Za-z0-9+/]{80,}=*", "ABSK{base64:128}==", "gitleaks aws-amazon-bedrock-api-key-long-lived"),
    TokenShape("AWS Bedrock short-term API key", r"bedrock-api-key-[\w+/=-]{20,}", "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t{base64:200}", "gitleaks aws-amazon-bedrock-api-key-short-lived"),
    TokenShape("AWS AppSync API key", r"da2-(?=[a-z]{0,25}\d)[a-z0-9]{26}(?![\w-])", "da2-{lower:26}", "trufflehog appsync"),
    TokenShape("AWS ECR authorization token", r"eyJwYXlsb2FkIjoi[\w+/=-]{60,}", "eyJwYXlsb2FkIjoi{base64:800}", "AWS documentation, ECR GetAuthorizationToken"),
    TokenShape("Amazon MWS token", r"amzn\.mws\.[0-9a-f]{8}-[0-9a-f-]{20,}", "amzn.mws.{uuid}", "secrets-patterns-db Amazon MWS Auth Token"),
    TokenShape("Amazon OAuth client secret", r"amzn1\.oa2-cs\.v1\.[0-9a-f]{48,}\w*", "amzn1.oa2-cs.v1.{hex:64}", "Login with Amazon documentation"),
    TokenShape("Amazon OAuth token", r"Atz[ar]\|[\w+/-]{60,}=*", "Atza|{base64url:300}", "Login with Amazon documentation"),
    TokenShape("Google API key", r"AIza[\w-]{26,}", "AIza{base64url:35}", "gitleaks gcp-api-key"),
    TokenShape("Google OAuth client secret", r"GOCSPX-[\w-]{20,}", "GOCSPX-{base64url:28}", "Google identity documentation, OAuth clients"),
    TokenShape("Google OAuth access token", r"ya29\.(?=[a-z_-]{0,60}[\dA-Z])[\w-]{10,}", "ya29.{base64url:120}", "trufflehog googleoauth2"),
    TokenShape("Google OAuth refresh token", r"1//0[\w-]{30,}", "1//0{base64url:98}", "Google identity documentation, OAuth tokens"),
    TokenShape("Google OAuth code", r"4/0A[\w-]{30,}", "4/0A{base64url:70}", "Google identity documentation, OAuth codes"),
    TokenShape("Firebase Cloud Messaging key", r"AAAA[\w-]{7}:[\w-]{100,}", "AAAA{base64url:7}:APA91b{base64url:134}", "secrets-patterns-db Firebase Cloud Messaging"),
    TokenShape("Azure client secret", r"[\w.~]{3}\dQ~[\w.~-]{26,}", "{alnum:3}8Q~{base64url:34}", "gitleaks azure-ad-client-secret"),
    TokenShape("Azure common annotated key", r"[A-Za-z0-9]{52}JQQJ9[9D][A-Za-z0-9]{20,}", "{alnum:52}JQQJ99{alnum:26}", "Microsoft security utilities, common annotated security keys"),
    TokenShape("Azure identifiable key", r"[A-Za-z0-9+/]{33,76}(?:\+A(?:St|Sb|Eh|CR|Ba)|A(?:CDb|IoT|PIM|zFu|zSe|zCa|MLs))[A-Za-z0-9+/]{5,8}={0,2}(?![\w+/-])", "{alnum:76}ACDb{alnum:6}==", "Microsoft security utilities, identifiable secrets"),
    TokenShape("Azure DevOps token", r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}(?![\w-])", "{alnum:76}AZDO{alnum:4}", "Azure DevOps documentation, personal access tokens"),
    TokenShape("Microsoft Entra refresh token", r"1\.A[\w-]{50,1000}\.Ag[\w-]{200,}(?:\.[\w-]+){0,2}", "1.A{base64url:80}.AgABAwEA{base64url:500}", "trufflehog azure_entra refreshtoken"),
    TokenShape("Microsoft Entra older refresh token", r"0\.A[\w-]{50,1000}\.Ag[\w-]{200,}(?:\.[\w-]+){0,2}", "0.A{base64url:80}.AgABAwEA{base64url:500}", "trufflehog azure_entra refreshtoken"),
    TokenShape("DigitalOcean personal access token", r"dop_v1_[0-9a-f]{48,}\w*", "dop_v1_{hex:64}", "gitleaks digitalocean-pat"),
    TokenShape("DigitalOcean OAuth token", r"doo_v1_[0-9a-f]{48,}\w*", "doo_v1_{hex:64}", "gitleaks digitalocean-access-token"),
    TokenShape("DigitalOcean refresh token", r"dor_v1_[0-9a-f]{48,}\w*", "dor_v1_{hex:64}", "gitleaks digitalocean-refresh-token"),
    TokenShape("DigitalOcean Spaces key", r"DO(?:00|801)(?=[A-Z]{0,20}\d)[A-Z0-9]{16,17}(?![\w-])", "DO00{base32:15}7", "DigitalOcean documentation, Spaces access keys"),
    TokenShape("Alibaba access key", r"LTAI(?=[A-Za-z]{0,15}\d|[A-Za-z]{16})[A-Za-z0-9]{12,}", "LTAI{alnum:20}", "gitleaks alibaba-access-key-id"),
    TokenShape("Tencent access key", r"AKID(?=[A-Za-z]{0,40}\d)[A-Za-z0-9]{24,}", "AKID{alnum:32}", "secrets-patterns-db Tencent"),
    TokenShape("Yandex API key", r"AQVN[\w-]{30,}", "AQVN{base64url:36}", "gitleaks yandex-api-key"),
    TokenShape("Yandex access token", r"t1\.[\w-]{4,1000}={0,2}\.[\w-]{60,}=*", "t1.{base64url:60}.{base64url:86}", "gitleaks yandex-access-token"),
    TokenShape("Yandex OAuth token", r"y0_[\w-]{50,}", "y0_{base64url:58}", "Yandex ID documentation"),
    TokenShape("Yandex static access key", r"YC(?=[A-Z\d_-]{0,37}[a-z])(?=[A-Za-z_-]{0,37}\d)[\w-]{38}\w?(?![\w-])", "YC{base64url:38}", "gitleaks yandex-aws-access-token"),
    TokenShape("Scaleway access key", r"SCW[0-9A-Z]{17}(?![0-9A-Za-z])", "SCW{base32:17}", "Scaleway documentation, API keys"),
    TokenShape("Heroku API key", r"HRKU-[\w-]{36,}", "HRKU-AA{base64url:58}", "gitleaks heroku-api-key-v2"),
    TokenShape("Fly.io access token", r"fo1_[\w-]{32,}", "fo1_{base64url:43}", "gitleaks flyio-access-token"),
    TokenShape("Fly.io macaroon", r"fm(?:1[ar]|2)_[\w+/-]{60,}=*", "fm2_{base64:180}==", "gitleaks flyio-access-token"),
    TokenShape("Vercel token", r"vc[acikpr]_[A-Za-z0-9]{20,}", "vcp_{alnum:56}", "secretlint vercel"),
    TokenShape("Netlify token", r"nf[bcopu]_\w{27,}", "nfp_{alnum:36}", "trufflehog netlify"),
    TokenShape("Render API key", r"rnd_[A-Za-z0-9]{20,}", "rnd_{alnum:28}", "Render documentation, API keys"),
    TokenShape("Scalingo API token", r"tk-us-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{36,}", "tk-us-{base64url:48}", "gitleaks scalingo-api-token"),
    TokenShape("Cloudflare origin CA key", r"v1\.0-[0-9A-Za-z]{16,32}-[0-9A-Za-z-]{100,}", "v1.0-{hex:24}-{hex:146}", "gitleaks cloudflare-origin-ca-key"),
    TokenShape("Cloudflare API token", r"cf(?:k|ut|at)_[A-Za-z0-9]{36,}", "cfut_{alnum:40}{hex:8}", "secretlint cloudflare"),
    TokenShape("Deno Deploy token", r"dd[pw]_[A-Za-z0-9]{27,}", "ddp_{alnum:36}", "trufflehog denodeploy"),
    TokenShape("Salad Cloud API key", r"salad_cloud_[0-9A-Za-z]{1,7}_[0-9A-Za-z]{7,}", "salad_cloud_user_{alnum:50}", "trufflehog saladcloudapikey"),
    TokenShape("OpenShift token", r"sha256~[\w-]{32,}", "sha256~{base64url:43}", "gitleaks openshift-user-token"),
    TokenShape("Tailscale key", r"tskey-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{20,}", "tskey-auth-{alnum:17}-{alnum:32}", "Tailscale documentation, key prefixes"),
    TokenShape("Defined Networking token", r"dnkey-(?=[a-z=_-]{0,60}\d)[\w=-]{48,}", "dnkey-{lower:26}-{lower:52}", "gitleaks defined-networking-api-token"),
    TokenShape("Netbird token", r"nbp_[A-Za-z0-9]{27,}", "nbp_{alnum:36}", "Netbird documentation, access tokens"),
    TokenShape("ngrok token", r"[123][A-Za-z0-9]{26}_[A-Za-z0-9]{20,22}(?![\w-])", "2{alnum:26}_{alnum:21}", "secrets-patterns-db Ngrok"),
    TokenShape("ngrok API key", r"ak_[123][A-Za-z0-9]{26}(?![\w-])", "ak_2{alnum:26}", "ngrok documentation, API keys"),
    # Code hosting, packages, builds
    TokenShape("GitHub personal access token", r"ghp_(?=[a-z_]{0,60}[\dA-Z])\w{16,}", "ghp_{alnum:36}", "gitleaks github-pat"),
    TokenShape("GitHub OAuth token", r"gho_(?=[a-z_]{0,60}[\dA-Z])\w{16,}", "gho_{alnum:36}", "gitleaks github-oauth"),
    TokenShape("GitHub user-to-server token", r"ghu_(?=[a-z_]{0,60}[\dA-Z])\w{16,}", "ghu_{alnum:36}", "gitleaks github-app-token"),
    TokenShape("GitHub server-to-server token", r"ghs_(?=[a-z_]{0,60}[\dA-Z])[\w-]{16,}(?:\.[\w-]{8,}){0,2}", "ghs_{alnum:36}", "gitleaks github-app-token"),
    TokenShape("GitHub refresh token", r"ghr_(?=[a-z_]{0,60}[\dA-Z])\w{16,}", "ghr_{alnum:76}", "gitleaks github-refresh-token"),
    TokenShape("GitHub fine-grained personal access token", r"github_pat_(?=[a-z_]{0,60}[\dA-Z])\w{16,}", "github_pat_{alnum:22}_{alnum:59}", "gitleaks github-fine-grained-pat"),
    TokenShape("GitLab personal access token", r"glpat-(?=[a-z_=-]{0,60}[\dA-Z])[\w=-]{15,}(?:\.\w{2,12}){0,2}", "glpat-{base64url:20}", "gitleaks gitlab-pat"),
    TokenShape("GitLab routable personal access token", r"glpat-(?=[a-z_=-]{0,60}[\dA-Z])[\w=-]{15,}(?:\.\w{2,12}){0,2}", "glpat-{base64url:27}.01.{lower:9}", "gitleaks gitlab-pat-routable"),
    TokenShape("GitLab deploy token", r"gldt-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{15,}", "gldt-{base64url:20}", "gitleaks gitlab-deploy-token"),
    TokenShape("GitLab feature flag token", r"glffct-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{15,}", "glffct-{base64url:20}", "gitleaks gitlab-feature-flag-client-token"),
    TokenShape("GitLab feed token", r"glft-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{15,}", "glft-{base64url:20}", "gitleaks gitlab-feed-token"),
    TokenShape("GitLab incoming mail token", r"glimt-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{18,}", "glimt-{base64url:25}", "gitleaks gitlab-incoming-mail-token"),
    TokenShape("GitLab Kubernetes agent token", r"glagent-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{36,}", "glagent-{base64url:50}", "gitleaks gitlab-kubernetes-agent-token"),
    TokenShape("GitLab OAuth application secret", r"gloas-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{48,}", "gloas-{base64url:64}", "gitleaks gitlab-oauth-app-secret"),
    TokenShape("GitLab pipeline trigger token", r"glptt-[0-9a-f]{30,}\w*", "glptt-{hex:40}", "gitleaks gitlab-ptt"),
    TokenShape("GitLab job token", r"glcbt-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{16,}(?:\.[\w-]{8,}){0,2}", "glcbt-64_{base64url:20}", "gitleaks gitlab-cicd-job-token"),
    TokenShape("GitLab runner token", r"glrtr?-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{15,}(?:\.\w{2,12}){0,2}", "glrt-{base64url:20}", "gitleaks gitlab-runner-authentication-token"),
    TokenShape("GitLab SCIM token", r"glsoat-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{15,}", "glsoat-{base64url:20}", "gitleaks gitlab-scim-token"),
    TokenShape("GitLab workspace token", r"glwt-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{15,}", "glwt-{base64url:20}", "GitLab documentation, token overview"),
    TokenShape("GitLab runner registration token", r"GR1348941[\w-]{15,}", "GR1348941{base64url:20}", "gitleaks gitlab-rrt"),
    TokenShape("Bitbucket app password", r"ATBB(?=[A-Za-z_=.-]{0,60}\d)[\w=.-]{24,}", "ATBB{alnum:32}", "trufflehog bitbucketapppassword"),
    TokenShape("Bitbucket Data Center token", r"BBDC-(?=[a-z+/@_-]{0,60}[\dA-Z])[\w+/@-]{36,}", "BBDC-{base64:44}", "trufflehog bitbucketdatacenter"),
    TokenShape("Atlassian API token", r"ATATT[\w+/=-]{24,}", "ATATT3xFfGF0{base64url:170}={upperhex:8}", "gitleaks atlassian-api-token"),
    TokenShape("Atlassian organization token", r"ATCTT[\w+/=-]{24,}", "ATCTT3xFfG{base64url:170}={upperhex:8}", "trufflehog atlassian"),
    TokenShape("Trello API token", r"ATTA[0-9A-Za-z]{60,}", "ATTA{hex:64}{upperhex:8}", "Atlassian documentation, Trello tokens"),
    TokenShape("npm access token", r"npm_[A-Za-z0-9]{27,}", "npm_{alnum:36}", "gitleaks npm-access-token"),
    TokenShape("PyPI upload token", r"pypi-AgE[\w-]{50,}", "pypi-AgEIcHlwaS5vcmc{base64url:150}", "gitleaks pypi-upload-token"),
    TokenShape("RubyGems API token", r"rubygems_[0-9a-zA-Z]{36,}", "rubygems_{hex:48}", "gitleaks rubygems-api-token"),
    TokenShape("NuGet API key", r"oy2(?=[a-z]{0,42}\d)[a-z0-9]{43}(?![\w-])", "oy2{lower:43}", "kingfisher nuget"),
    TokenShape("crates.io API token", r"cio(?=[A-Za-z]{0,31}\d)[A-Za-z0-9]{32}(?![\w-])", "cio{alnum:32}", "kingfisher cratesio"),
    TokenShape("Clojars API token", r"CLOJARS_[0-9A-Za-z]{45,}", "CLOJARS_{hex:60}", "gitleaks clojars-api-token"),
    TokenShape("Packagist token", r"packagist_[a-z]{2,4}_[0-9a-f]{40,}\w*", "packagist_uut_{hex:68}", "Packagist documentation, API tokens"),
    TokenShape("npm token of a Nexus repository", r"NpmToken\.[0-9a-f-]{36}", "NpmToken.{uuid}", "Sonatype Nexus documentation, npm security"),
    TokenShape("Modrinth token", r"mrp_[A-Za-z0-9]{40,}", "mrp_{alnum:60}", "Modrinth documentation, authentication"),
    TokenShape("Docker personal access token", r"dckr_pat_[\w-]{20,}", "dckr_pat_{base64url:27}", "trufflehog dockerhub"),
    TokenShape("Docker organization access token", r"dckr_oat_[\w-]{24,}", "dckr_oat_{base64url:32}", "trufflehog dockerhub"),
    TokenShape("Artifactory API key", r"AKC[0-9A-Za-z](?=[A-Za-z]{0,60}\d)[A-Za-z0-9]{50,}", "AKCp{alnum:69}", "gitleaks artifactory-api-key"),
    TokenShape("Artifactory reference token", r"cmVmd[A-Za-z0-9]{44,}", "cmVmdGtuOjAxOj{alnum:50}", "gitleaks artifactory-reference-token"),
    TokenShape("Buildkite token", r"bk(?:ua|ct|aj|at|rt)_[0-9A-Za-z]{30,}", "bkua_{hex:40}", "trufflehog buildkite"),
    TokenShape("CircleCI personal token", r"CCIPAT_[A-Za-z0-9]{16,}_[0-9a-fA-F]{30,}\w*", "CCIPAT_{alnum:22}_{hex:40}", "trufflehog circleci"),
    TokenShape("CircleCI project token", r"CCIPRJ_[A-Za-z0-9]{16,}_[0-9a-fA-F]{30,}\w*", "CCIPRJ_{alnum:22}_{hex:40}", "CircleCI documentation, API tokens"),
    TokenShape("Octopus Deploy API key", r"API-(?=[A-Z]{0,40}\d)[A-Z0-9]{25,}\w*", "API-{base32:26}", "gitleaks octopus-deploy-api-key"),
    TokenShape("Harness personal token", r"pat\.[\w-]{18,24}\.[A-Za-z0-9]{18,26}\.[A-Za-z0-9]{15,}", "pat.{base64url:22}.{hex:24}.{alnum:20}", "gitleaks harness-api-key"),
    TokenShape("Harness service account token", r"sat\.[\w-]{18,24}\.[A-Za-z0-9]{18,26}\.[A-Za-z0-9]{15,}", "sat.{base64url:22}.{hex:24}.{alnum:20}", "gitleaks harness-api-key"),
    TokenShape("SonarQube token", r"sq[apu]_[0-9a-z]{30,}", "squ_{hex:40}", "gitleaks sonar-api-token"),
    TokenShape("SonarCloud token", r"sqco_[A-Za-z0-9]{44,}", "sqco_{alnum:59}", "trufflehog sonarcloud"),
    TokenShape("Snyk token", r"snyk_[us]at\.[0-9a-f]{6,}\.[\w.-]{24,}", "snyk_uat.{hex:8}.{base64url:90}", "Snyk documentation, service accounts"),
    TokenShape("Sourcegraph access token", r"sgp_(?:[0-9a-fA-F]{12,16}_|local_)?[0-9a-fA-F]{30,}\w*", "sgp_{hex:16}_{hex:40}", "gitleaks sourcegraph-access-token"),
    TokenShape("Sourcegraph Cody token", r"slk_[0-9a-f]{48,}\w*", "slk_{hex:64}", "trufflehog sourcegraphcody"),
    TokenShape("Spectral token", r"spu-(?=[a-z]{0,31}\d)[a-z0-9]{32}(?![\w-])", "spu-{lower:32}", "trufflehog spectralops"),
    TokenShape("Endor Labs API key", r"endr\+(?=[a-z-]{0,30}[\dA-Z])[\w-]{12,}", "endr+{alnum:16}", "trufflehog endorlabs"),
    TokenShape("TruffleHog Enterprise secret", r"thog-secret-[0-9a-f]{24,}\w*", "thog-secret-{hex:32}", "trufflehog trufflehogenterprise"),
    TokenShape("Dependency-Track API key", r"odt_[A-Za-z0-9_]{24,}", "odt_{alnum:32}", "kingfisher dtrack"),
    TokenShape("Gitpod token", r"gitpod_pat_[\w.-]{24,}", "gitpod_pat_{base64url:40}", "Gitpod documentation, access tokens"),
    TokenShape("Pulumi access token", r"pul-(?=[a-z]{0,40}\d)[0-9a-z]{30,}", "pul-{hex:40}", "gitleaks pulumi-api-token"),
    TokenShape("Terraform Cloud token", r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{45,}", "{alnum:14}.atlasv1.{alnum:67}", "gitleaks hashicorp-tf-api-token"),
    TokenShape("Vault service token", r"hvs\.(?=[a-z_-]{0,60}[\dA-Z])[\w-]{20,}", "hvs.{base64url:95}", "gitleaks vault-service-token"),
    TokenShape("Vault batch token", r"hvb\.(?=[a-z_-]{0,60}[\dA-Z])[\w.-]{40,}", "hvb.{base64url:150}", "gitleaks vault-batch-token"),
    TokenShape("Vault recovery token", r"hvr\.(?=[a-z_-]{0,60}[\dA-Z])[\w-]{20,}", "hvr.{base64url:95}", "secretlint hashicorp-vault"),
    TokenShape("Vault legacy token", r"s\.(?=[A-Za-z]{0,23}\d)[A-Za-z0-9]{24}[nr]?(?![\w-])", "s.{alnum:24}", "gitleaks vault-service-token"),
    TokenShape("Infracost API key", r"ico-[A-Za-z0-9]{24,}", "ico-{alnum:32}", "gitleaks infracost-api-token"),
    TokenShape("Doppler token", r"dp\.(?:ct|pt|sa|scim|audit)\.[A-Za-z0-9]{30,}", "dp.pt.{alnum:43}", "gitleaks doppler-api-token"),
    TokenShape("Doppler service token", r"dp\.st\.(?:[\w-]{2,35}\.)?[A-Za-z0-9]{30,}", "dp.st.prd_web.{alnum:43}", "trufflehog doppler"),
    TokenShape("Postman API key", r"PMAK-[0-9A-Za-z-]{44,}", "PMAK-{hex:24}-{hex:34}", "gitleaks postman-api-token"),
    TokenShape("Postman collection key", r"PMAT-[0-9A-Z]{20,}", "PMAT-{base32:26}", "Postman documentation, collection access keys"),
    TokenShape("ReadMe API key", r"rdme_[0-9a-z]{50,}", "rdme_{lower:70}", "gitleaks readme-api-token"),
    TokenShape("Apify API token", r"apify_api_[A-Za-z0-9-]{27,}", "apify_api_{alnum:36}", "trufflehog apify"),
    TokenShape("Zuplo API key", r"zpka_\w{36,}", "zpka_{hex:32}_{hex:8}", "GitHub secret scanning, Zuplo"),
    TokenShape("Kong personal token", r"kpat_[A-Za-z0-9]{30,}", "kpat_{alnum:47}", "Kong documentation, Konnect access tokens"),
    TokenShape("Kong system account token", r"spat_[A-Za-z0-9]{30,}", "spat_{alnum:47}", "Kong documentation, Konnect access tokens"),
    TokenShape("Unkey root key", r"unkey_(?=[a-z_]{0,40}[\dA-Z])[A-Za-z0-9]{20,}", "unkey_{alnum:24}", "Unkey documentation, root keys"),
    TokenShape("Svix API key", r"sk_(?=[A-Za-z_-]{0,40}\d)[\w-]{28,100}\.(?:eu|us|ca|au|in)(?![\w-])", "sk_{alnum:32}.eu", "Svix documentation, API keys"),
    TokenShape("Svix test API key", r"testsk_(?=[A-Za-z_-]{0,40}\d)[\w-]{28,}(?:\.(?:eu|us|ca|au|in)(?![\w-]))?", "testsk_{alnum:32}.eu", "Svix documentation, API keys"),
    TokenShape("n8n API key", r"n8n_api_[0-9a-f]{40,}\w*", "n8n_api_{hex:80}", "n8n documentation, API"),
    # AI
    TokenShape("OpenAI project key", r"sk-(?:proj|svcacct|admin|service|None)-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{30,}", "sk-proj-{base64url:74}T3BlbkFJ{base64url:74}", "gitleaks openai-api-key"),
    TokenShape("OpenAI API key", r"sk-(?=[A-Za-z]{0,60}\d)[A-Za-z0-9]{20,}(?![A-Za-z0-9])[\w-]*", "sk-{alnum:20}T3BlbkFJ{alnum:20}", "gitleaks openai-api-key"),
    TokenShape("DeepSeek API key", r"sk-(?=[A-Za-z]{0,60}\d)[A-Za-z0-9]{20,}(?![A-Za-z0-9])[\w-]*", "sk-{hex:32}", "trufflehog deepseek"),
    TokenShape("Anthropic API key", r"sk-ant-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{30,}", "sk-ant-api03-{base64url:93}AA", "gitleaks anthropic-api-key"),
    TokenShape("OpenRouter API key", r"sk-or-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{30,}", "sk-or-v1-{hex:64}", "trufflehog openrouter"),
    TokenShape("Langfuse secret key", r"sk-lf-[0-9a-f]{8}-[0-9a-f-]{20,}", "sk-lf-{uuid}", "trufflehog langfuse"),
    TokenShape("Helicone API key", r"sk-helicone-[a-z0-9-]{20,}", "sk-helicone-{lower:7}-{lower:7}-{lower:7}-{lower:7}", "Helicone documentation, API keys"),
    TokenShape("Groq API key", r"gsk_[A-Za-z0-9]{39,}", "gsk_{alnum:52}", "secretlint groq"),
    TokenShape("xAI API key", r"xai-(?=[a-z_]{0,60}[\dA-Z])\w{60,}", "xai-{alnum:80}", "trufflehog xai"),
    TokenShape("Perplexity API key", r"pplx-[A-Za-z0-9]{36,}", "pplx-{alnum:48}", "gitleaks perplexity-api-key"),
    TokenShape("Replicate API token", r"r8_(?=[a-z_-]{0,40}[\dA-Z])[\w-]{28,}", "r8_{alnum:37}", "trufflehog replicate"),
    TokenShape("Hugging Face access token", r"hf_[A-Za-z0-9]{26,}", "hf_{letters:34}", "gitleaks huggingface-access-token"),
    TokenShape("Hugging Face organization token", r"api_org_[A-Za-z0-9]{26,}", "api_org_{letters:34}", "gitleaks huggingface-organization-api-token"),
    TokenShape("NVIDIA API key", r"nvapi-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{48,}", "nvapi-{base64url:64}", "trufflehog nvapi"),
    TokenShape("Cerebras API key", r"csk-(?=[a-z]{0,47}\d)[a-z0-9]{40,}", "csk-{lower:48}", "Cerebras documentation, API keys"),
    TokenShape("Together API key", r"tgp_v1_[\w-]{32,}", "tgp_v1_{base64url:43}", "Together documentation, API keys"),
    TokenShape("Tavily API key", r"tvly-(?=[a-z-]{0,40}[\dA-Z])[\w-]{24,}", "tvly-dev-{alnum:32}", "Tavily documentation, API keys"),
    TokenShape("Firecrawl API key", r"fc-(?=[a-f]{0,31}\d)[0-9a-f]{32}(?![\w-])", "fc-{hex:32}", "Firecrawl documentation, API keys"),
    TokenShape("LlamaCloud API key", r"llx-(?=[a-z]{0,40}[\dA-Z])[A-Za-z0-9]{36,}", "llx-{alnum:48}", "LlamaCloud documentation, API keys"),
    TokenShape("Jina API key", r"jina_[0-9a-f]{32}\w{12,}", "jina_{hex:32}{alnum:28}", "Jina documentation, API keys"),
    TokenShape("E2B API key", r"e2b_[0-9a-f]{30,}\w*", "e2b_{hex:40}", "E2B documentation, API keys"),
    TokenShape("RunPod API key", r"rpa_[0-9A-Z]{32}\w*", "rpa_{base32:42}", "RunPod documentation, API keys"),
    TokenShape("Pinecone API key", r"pcsk_\w{50,}", "pcsk_{alnum:5}_{alnum:63}", "trufflehog pinecone"),
    TokenShape("LangSmith API key", r"lsv2_(?:pt|sk)_[0-9a-f]{24,}_[0-9a-f]{6,}\w*", "lsv2_pt_{hex:32}_{hex:10}", "trufflehog langsmith"),
    TokenShape("LangSmith legacy API key", r"ls__[0-9a-f]{32}\w*", "ls__{hex:32}", "LangSmith documentation, API keys"),
    TokenShape("ElevenLabs API key", r"sk_(?=[A-Za-z]{0,60}\d)[0-9A-Za-z]{28,}\w*", "sk_{hex:48}", "trufflehog elevenlabs"),
    TokenShape("IEX Cloud secret token", r"sk_(?=[A-Za-z]{0,60}\d)[0-9A-Za-z]{28,}\w*", "sk_{hex:32}", "trufflehog iexapis"),
    TokenShape("Voiceflow API key", r"VF\.(?:(?:DM|WS)\.)?[0-9a-fA-F]{18,}\.[A-Za-z0-9]{12,}", "VF.DM.{hex:24}.{alnum:16}", "trufflehog voiceflow"),
    TokenShape("Photoroom API key", r"sk_pr_\w{1,64}_[0-9a-fA-F]{40}\w*", "sk_pr_default_{hex:40}", "trufflehog photoroom"),
    TokenShape("Photoroom sandbox API key", r"sandbox_sk_pr_\w{1,64}_[0-9a-fA-F]{40}\w*", "sandbox_sk_pr_default_{hex:40}", "trufflehog photoroom"),
    # Messages and mail
    TokenShape("Slack token", r"xox[a-z](?:\.xox[a-z])?-(?=[a-z_%-]{0,60}[\dA-Z])[\w%-]{8,}", "xoxb-{digits:12}-{digits:13}-{alnum:24}", "gitleaks slack-bot-token"),
    TokenShape("Slack configuration token", r"xox[a-z](?:\.xox[a-z])?-(?=[a-z_%-]{0,60}[\dA-Z])[\w%-]{8,}", "xoxe.xoxp-1-{base32:163}", "gitleaks slack-config-access-token"),
    TokenShape("Slack app token", r"xapp-\d-[\w-]{16,}", "xapp-1-A{base32:10}-{digits:13}-{hex:64}", "gitleaks slack-app-token"),
    TokenShape("Slack workflow token", r"xwfp-(?=[a-z_-]{0,60}[\dA-Z])[\w-]{20,}", "xwfp-{digits:12}-{digits:13}-{alnum:24}", "Slack documentation, token types"),
    TokenShape("Slack webhook", r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/([\w+/-]{30,})", "hooks.slack.com/services/[T{base32:10}/B{base32:10}/{alnum:24}]", "gitleaks slack-webhook-url"),
    TokenShape("Microsoft Teams webhook", r"webhook\.office\.com/webhookb2/([\w@/-]{30,})", "webhook.office.com/webhookb2/[{uuid}@{uuid}/IncomingWebhook/{hex:32}/{uuid}]", "gitleaks microsoft-teams-webhook"),
    TokenShape("Microsoft Teams legacy webhook", r"outlook\.office(?:365)?\.com/webhook/([\w@/-]{30,})", "outlook.office.com/webhook/[{uuid}@{uuid}/IncomingWebhook/{hex:32}/{uuid}]", "kingfisher msteams"),
    TokenShape("Azure Logic Apps signature", r"sig=([\w%+/-]{40,}=*)", "sig=[{base64url:43}]", "trufflehog microsoftteamswebhook"),
    TokenShape("Discord webhook", r"discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/\d{1,20}/([\w-]{40,})", "discord.com/api/webhooks/{digits:19}/[{base64url:68}]", "trufflehog discordwebhook"),
    TokenShape("Discord bot token", r"[MNO](?=[A-Za-z_.-]{0,70}\d)[\w-]{22,27}\.[\w-]{6}\.[\w-]{27,}", "M{alnum:25}.{base64url:6}.{base64url:38}", "detect-secrets discord"),
    TokenShape("Discord token of a user with two factors", r"mfa\.[\w-]{60,}", "mfa.{base64url:84}", "detect-secrets discord"),
    TokenShape("Discord interaction token", r"discord(?:app)?\.com/api/(?:v\d{1,2}/)?(?:interactions|webhooks)/\d{1,20}/([\w-]{40,})", "discord.com/api/v10/interactions/{digits:19}/[aW50ZXJhY3Rpb246{alnum:80}]", "Discord documentation, interactions"),
    TokenShape("Telegram bot token", r"\d{8,12}:AA[\w-]{28,}", "{digits:10}:AA{base64url:33}", "gitleaks telegram-bot-api-token"),
    TokenShape("Telegram bot token in an address", r"bot(\d{5,16}:[\w-]{30,})", "bot[{digits:10}:AA{base64url:33}]", "Telegram documentation, making requests"),
    TokenShape("Google Chat webhook", r"chat\.googleapis\.com/v1/spaces/[\w-]{1,60}/messages\?(key=[\w-]{30,60}&token=[\w%-]{20,})", "chat.googleapis.com/v1/spaces/{alnum:11}/messages?[key=AIza{base64url:35}&token={base64url:43}%3D]", "Google Chat documentation, webhooks"),
    TokenShape("Feishu webhook", r"open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/v2/hook/([\w-]{20,})", "open.feishu.cn/open-apis/bot/v2/hook/[{uuid}]", "Feishu documentation, custom bots"),
    TokenShape("WeCom webhook", r"qyapi\.weixin\.qq\.com/cgi-bin/webhook/send\?key=([\w-]{20,})", "qyapi.weixin.qq.com/cgi-bin/webhook/send?key=[{uuid}]", "WeCom documentation, group robots"),
    TokenShape("DingTalk webhook", r"oapi\.dingtalk\.com/robot/send\?access_token=(\w{40,})", "oapi.dingtalk.com/robot/send?access_token=[{hex:64}]", "DingTalk documentation, custom robots"),
    TokenShape("Zapier webhook", r"hooks\.zapier\.com/hooks/catch/(\d{1,12}/\w{5,})", "hooks.zapier.com/hooks/catch/[{digits:8}/{lower:7}]", "trufflehog zapierwebhook"),
    TokenShape("Make webhook", r"hook\.(?:[a-z]{2}\d\.)?(?:make|integromat)\.com/([a-z0-9]{24,})", "hook.eu1.make.com/[{lower:32}]", "Make documentation, webhooks"),
    TokenShape("IFTTT webhook", r"maker\.ifttt\.com/trigger/[\w%-]{1,100}/(?:json/)?with/key/([\w-]{16,})", "maker.ifttt.com/trigger/order/with/key/[{base64url:43}]", "IFTTT documentation, webhooks"),
    TokenShape("Tines webhook", r"tines\.com/webhook/(\w{24,}/\w{24,})", "tines.com/webhook/[{lower:32}/{lower:32}]", "trufflehog tineswebhook"),
    TokenShape("Healthchecks address", r"hc-ping\.com/([\w-]{20,})", "hc-ping.com/[{uuid}]", "Healthchecks.io documentation, pinging API"),
    TokenShape("Dead Man's Snitch address", r"nosnch\.in/(\w{10,})", "nosnch.in/[{lower:10}]", "Dead Man's Snitch documentation"),
    TokenShape("Better Stack heartbeat", r"uptime\.better(?:stack|uptime)\.com/api/v1/heartbeat/(\w{16,})", "uptime.betterstack.com/api/v1/heartbeat/[{alnum:24}]", "Better Stack documentation, heartbeats"),
    TokenShape("Loggly address", r"logs-01\.loggly\.com/(?:inputs|bulk)/([\w-]{16,})", "logs-01.loggly.com/inputs/[{uuid}]", "Loggly documentation, HTTP endpoints"),
    TokenShape("Sumo Logic collector", r"sumologic\.com/receiver/v1/http/([\w=-]{20,})", "sumologic.com/receiver/v1/http/[{base64url:86}==]", "trufflehog sumologic"),
    TokenShape("Datadog log address", r"http-intake\.logs\.[\w.]{0,10}datadoghq\.\w{2,3}/v1/input/(\w{20,})", "http-intake.logs.datadoghq.com/v1/input/[{hex:32}]", "Datadog documentation, log collection"),
    TokenShape("Cronitor address", r"cronitor\.link/(?:p|ping)/([\w-]{16,})", "cronitor.link/p/[{hex:32}]", "Cronitor documentation, telemetry API"),
    TokenShape("Infura address", r"infura\.io/(?:ws/)?v3/(\w{20,})", "infura.io/v3/[{hex:32}]", "kingfisher infura"),
    TokenShape("Alchemy address", r"g\.alchemy\.com/v2/([\w-]{20,})", "g.alchemy.com/v2/[{alnum:32}]", "Alchemy documentation, endpoints"),
    TokenShape("QuickNode address", r"quiknode\.pro/(\w{20,})", "quiknode.pro/[{hex:40}]", "QuickNode documentation, endpoints"),
    TokenShape("Anaconda.org address", r"conda\.anaconda\.org/t/([\w-]{16,})", "conda.anaconda.org/t/[{lower:2}-{uuid}]", "Anaconda.org documentation, tokens"),
    TokenShape("YouTube stream key", r"rtmps?\.youtube\.com/live2/([\w-]{16,})", "rtmp.youtube.com/live2/[{lower:4}-{lower:4}-{lower:4}-{lower:4}-{lower:4}]", "YouTube documentation, live streams"),
    TokenShape("Google Calendar secret address", r"calendar\.google\.com/calendar/ical/[\w%.@-]{1,100}/(private-\w{20,})", "calendar.google.com/calendar/ical/ann%40example.com/[private-{hex:32}]", "Google Calendar documentation, secret address"),
    TokenShape("Twilio API key", r"SK(?=[A-Za-z]{0,31}\d)[0-9A-Za-z]{32}(?![\w-])", "SK{hex:32}", "gitleaks twilio-api-key"),
    TokenShape("SendGrid API key", r"SG\.(?=[A-Za-z=_.-]{0,60}\d)[\w=.-]{50,}", "SG.{base64url:22}.{base64url:43}", "gitleaks sendgrid-api-token"),
    TokenShape("Mailgun private key", r"key-(?=[a-z]{0,31}\d)[0-9a-z]{32}[nr]?(?![\w-])", "key-{hex:32}", "gitleaks mailgun-private-api-token"),
    TokenShape("SalesBlink API key", r"key-[0-9A-Za-z]{64}(?![\w-])", "key-{alnum:64}", "trufflehog salesblink"),
    TokenShape("Mailgun public key", r"pubkey-(?=[a-z]{0,31}\d)[0-9a-z]{32}[nr]?(?![\w-])", "pubkey-{hex:32}", "gitleaks mailgun-pub-key"),
    TokenShape("Mailgun API key", r"[0-9a-h]{32}-[0-9a-h]{8}-[0-9a-h]{8}(?![\w-])", "{hex:32}-{hex:8}-{hex:8}", "gitleaks mailgun-signing-key"),
    TokenShape("Mailchimp API key", r"[0-9a-f]{32}-us\d{1,2}", "{hex:32}-us12", "gitleaks mailchimp-api-key"),
    TokenShape("Mandrill API key", r"md-(?=[A-Za-z_-]{0,21}\d)(?=[a-z\d_-]{0,21}[A-Z])[\w-]{22}(?![\w-])", "md-{alnum:22}", "Mailchimp Transactional documentation, API keys"),
    TokenShape("Brevo API key", r"xkeysib-[\w-]{60,}", "xkeysib-{hex:64}-{alnum:16}", "gitleaks sendinblue-api-token"),
    TokenShape("Brevo SMTP key", r"xsmtpsib-[\w-]{60,}", "xsmtpsib-{hex:64}-{alnum:16}", "trufflehog sendinbluev2"),
    TokenShape("Resend API key", r"re_(?=[A-Za-z]{0,8}[\dA-Z])[A-Za-z0-9]{8}_[A-Za-z0-9]{24}(?![\w-])", "re_{alnum:8}_{alnum:24}", "Resend documentation, API keys"),
    TokenShape("OneSignal API key", r"os_v2_(?:app|org)_[a-z0-9]{60,}", "os_v2_app_{lower:103}", "OneSignal documentation, keys"),
    TokenShape("Telnyx API key", r"KEY(?=[\dA-Z_-]{0,54}[a-z])(?=[A-Za-z_-]{0,54}\d)[\w-]{55}(?![\w-])", "KEY{upperhex:32}_{alnum:22}", "trufflehog telnyx"),
    TokenShape("Ably API key", r"[\w-]{6}\.[\w-]{6}:(?=[A-Za-z_-]{0,42}\d)(?=[a-z\d_-]{0,42}[A-Z])[\w-]{43}(?![\w-])", "{alnum:6}.{alnum:6}:{alnum:43}", "Ably documentation, API keys"),
    TokenShape("PubNub publish key", r"pub-c-[0-9a-z]{8}-[0-9a-z-]{20,}", "pub-c-{uuid}", "trufflehog pubnubpublishkey"),
    TokenShape("PubNub subscribe key", r"sub-c-[0-9a-z]{8}-[0-9a-z-]{20,}", "sub-c-{uuid}", "trufflehog pubnubsubscriptionkey"),
    TokenShape("PubNub secret key", r"sec-c-[\w=-]{40,}", "sec-c-{alnum:48}", "PubNub documentation, keys"),
    # Payment and commerce
    TokenShape("Stripe secret key", r"sk_(?:live|test|prod)_(?=[a-z_-]{0,60}[\dA-Z])[\w-]{8,}", "sk_live_{alnum:24}", "gitleaks stripe-access-token"),
    TokenShape("Paystack secret key", r"sk_(?:live|test|prod)_(?=[a-z_-]{0,60}[\dA-Z])[\w-]{8,}", "sk_live_{hex:40}", "trufflehog paystack"),
    TokenShape("Stripe restricted key", r"rk_(?:live|test|prod)_(?=[a-z_-]{0,60}[\dA-Z])[\w-]{8,}", "rk_live_{alnum:99}", "gitleaks stripe-access-token"),
    TokenShape("Stripe webhook secret", r"whsec_(?=[a-z]{0,60}[\dA-Z])[A-Za-z0-9+/]{20,}=*", "whsec_{alnum:32}", "Stripe documentation, webhook signatures"),
    TokenShape("Stripe payment client secret", r"pi_[A-Za-z0-9]{14,30}_secret_[A-Za-z0-9]{18,}", "pi_{alnum:24}_secret_{alnum:25}", "trufflehog stripepaymentintent"),
    TokenShape("Stripe setup client secret", r"seti_[A-Za-z0-9]{14,30}_secret_[A-Za-z0-9]{18,}", "seti_{alnum:24}_secret_{alnum:31}", "Stripe documentation, setup intents"),
    TokenShape("Recharge API token", r"sk(?:_test)?_\d{1,2}x[123]_[0-9a-fA-F]{48,}\w*", "sk_1x1_{hex:64}", "trufflehog rechargepayments"),
    TokenShape("Ticket Tailor API key", r"sk_\d{4}_\d{6}_[0-9a-f]{24,}\w*", "sk_{digits:4}_{digits:6}_{hex:32}", "trufflehog tickettailor"),
    TokenShape("Shopify access token", r"shp(?:at|ca|pa|ss|ua|tka|it)_[0-9a-zA-Z]{24,}", "shpat_{hex:32}", "gitleaks shopify-access-token"),
    TokenShape("Square token", r"sq0[a-z]{3}-[\w-]{20,}", "sq0atp-{base64url:22}", "gitleaks square-access-token"),
    TokenShape("Square access token", r"EAAA(?=[A-Za-z_-]{0,60}\d)[\w-]{22,}", "EAAA{base64url:60}", "gitleaks square-access-token"),
    TokenShape("Braintree access token", r"access_token\$(?:production|sandbox)\$[0-9a-z]{12,20}\$[0-9a-f]{24,}\w*", "access_token$production${lower:16}${hex:32}", "secrets-patterns-db PayPal Braintree Access Token"),
    TokenShape("Adyen API key", r"AQE[a-z][A-Za-z0-9+/=-]{60,}", "AQEy{base64:150}-{base64:43}=-{alnum:16}", "Adyen documentation, API credentials"),
    TokenShape("Plaid access token", r"access-(?:sandbox|development|production)-[0-9a-f]{8}-[0-9a-f-]{20,}", "access-sandbox-{uuid}", "gitleaks plaid-api-token"),
    TokenShape("Razorpay key", r"rzp_(?:live|test)_[A-Za-z0-9]{11,}", "rzp_live_{alnum:14}", "trufflehog razorpay"),
    TokenShape("Flutterwave secret key", r"FLWSECK(?:_TEST)?-(?=[a-zA-Z]{0,40}\d)[0-9A-Za-z]{10,}(?:-X)?", "FLWSECK_TEST-{hex:32}-X", "gitleaks flutterwave-secret-key"),
    TokenShape("Flutterwave encryption key", r"FLWSECK(?:_TEST)?-(?=[a-zA-Z]{0,40}\d)[0-9A-Za-z]{10,}(?:-X)?", "FLWSECK_TEST-{hex:12}", "gitleaks flutterwave-encryption-key"),
    TokenShape("Flutterwave public key", r"FLWPUBK(?:_TEST)?-(?=[a-zA-Z]{0,40}\d)[0-9A-Za-z]{10,}(?:-X)?", "FLWPUBK_TEST-{hex:32}-X", "gitleaks flutterwave-public-key"),
    TokenShape("Pagar.me key", r"ak_(?:live|test)_(?=[A-Za-z]{0,40}\d)[A-Za-z0-9]{22,}", "ak_live_{alnum:30}", "trufflehog pagarme"),
    TokenShape("Mollie or GoCardless live key", r"live_(?=[A-Za-z_-]{0,40}\d)(?=[a-z\d_-]{0,40}[A-Z])[\w-]{30,44}(?![\w-])", "live_{alnum:40}", "trufflehog gocardless"),
    TokenShape("Lob live API key", r"live_[0-9a-f]{35}\w?(?![\w-])", "live_{hex:35}", "gitleaks lob-api-key"),
    TokenShape("Lob test API key", r"test_[0-9a-f]{35}\w?(?![\w-])", "test_{hex:35}", "gitleaks lob-api-key"),
    TokenShape("Paddle API key", r"pdl_(?:live|sdbx)_(?:apikey|client)_[\w-]{30,}", "pdl_live_apikey_{lower:26}_{alnum:22}_{alnum:3}", "Paddle documentation, API keys"),
    TokenShape("Polar access token", r"polar_[a-z]{2,4}_\w{30,}", "polar_oat_{alnum:43}", "Polar documentation, organization access tokens"),
    TokenShape("Ramp client secret", r"ramp_sec_[A-Za-z0-9]{36,}", "ramp_sec_{alnum:48}", "trufflehog ramp"),
    TokenShape("Robinhood Crypto API key", r"rh-api-[0-9a-fA-F]{8}-[0-9a-fA-F-]{20,}", "rh-api-{uuid}", "trufflehog robinhoodcrypto"),
    TokenShape("Shippo API token", r"shippo_(?:live|test)_[0-9a-fA-F]{30,}\w*", "shippo_live_{hex:40}", "gitleaks shippo-api-token"),
    TokenShape("EasyPost API key", r"EZ[AT]K(?=[A-Za-z]{0,60}\d)[A-Za-z0-9]{40,}", "EZAK{alnum:54}", "gitleaks easypost-api-token"),
    TokenShape("Duffel API token", r"duffel_(?:test|live)_[\w=-]{30,}", "duffel_live_{base64url:43}", "gitleaks duffel-api-token"),
    TokenShape("Flexport API token", r"shltm_[\w-]{30,}", "shltm_{base64url:40}", "trufflehog flexport"),
    TokenShape("Fleetbase API key", r"flb_(?:live|test)_[0-9a-zA-Z]{16,}", "flb_live_{alnum:20}", "trufflehog fleetbase"),
    # Monitoring and data
    TokenShape("Grafana API key", r"eyJrIjoi[\w+/-]{50,}=*", "eyJrIjoi{alnum:90}==", "gitleaks grafana-api-key"),
    TokenShape("Grafana Cloud token", r"glc_(?=[a-z+/=]{0,60}[\dA-Z])[A-Za-z0-9+/=]{30,}", "glc_eyJ{base64:120}==", "gitleaks grafana-cloud-api-token"),
    TokenShape("Grafana service account token", r"glsa_(?=[a-z_]{0,60}[\dA-Z])\w{30,}", "glsa_{alnum:32}_{hex:8}", "gitleaks grafana-service-account-token"),
    TokenShape("Dynatrace token", r"dt0[a-z]\d\d\.[A-Za-z0-9]{8,24}\.[A-Za-z0-9]{48,}", "dt0c01.{base32:24}.{base32:64}", "gitleaks dynatrace-api-token"),
    TokenShape("Sentry organization token", r"sntrys_[\w+/=-]{60,}", "sntrys_eyJpYXQiO{base64:120}={alnum:1}_{base64:43}", "gitleaks sentry-org-token"),
    TokenShape("Sentry user token", r"sntry[aiu]_[0-9a-f]{48,}\w*", "sntryu_{hex:64}", "gitleaks sentry-user-token"),
    TokenShape("New Relic user key", r"NRAK-[0-9A-Za-z]{20,}", "NRAK-{base32:27}", "gitleaks new-relic-user-api-key"),
    TokenShape("New Relic insert key", r"NRII-[\w-]{18,}", "NRII-{base64url:32}", "gitleaks new-relic-insert-key"),
    TokenShape("New Relic query key", r"NRIQ-[\w-]{18,}", "NRIQ-{base64url:25}", "trufflehog newrelicinsightsquerykey"),
    TokenShape("New Relic browser key", r"NR(?:JS|BR)-[0-9a-f]{14,}\w*", "NRJS-{hex:19}", "gitleaks new-relic-browser-api-token"),
    TokenShape("New Relic license key", r"[0-9a-f]{32,36}(?:FFFF)?NRAL(?![\w-])", "{hex:32}FFFFNRAL", "trufflehog newreliclicensekey"),
    TokenShape("New Relic European license key", r"eu01xx[0-9a-f]{24,30}(?:FFFF)?NRAL(?![\w-])", "eu01xx{hex:26}FFFFNRAL", "trufflehog newreliclicensekey"),
    TokenShape("New Relic mobile token", r"AA[0-9a-f]{40}-NRMA(?![\w-])", "AA{hex:40}-NRMA", "trufflehog newrelicmobileapptoken"),
    TokenShape("New Relic European mobile token", r"eu01xx[0-9a-f]{36}-NRMA(?![\w-])", "eu01xx{hex:36}-NRMA", "trufflehog newrelicmobileapptoken"),
    TokenShape("Honeycomb ingest key", r"hc[abxm][im]?k_(?=[a-z]{0,58}\d)[a-z0-9]{24,}", "hcaik_{lower:58}", "Honeycomb documentation, API keys"),
    TokenShape("Axiom token", r"xa[ap]t-[0-9a-f]{8}-[0-9a-f-]{20,}", "xaat-{uuid}", "Axiom documentation, API tokens"),
    TokenShape("Rootly API token", r"rootly_[0-9a-f]{48,}\w*", "rootly_{hex:64}", "trufflehog rootly"),
    TokenShape("pganalyze read key", r"pgar_[A-Za-z0-9]{20,}", "pgar_{alnum:27}", "trufflehog pganalyzereadkey"),
    TokenShape("PostHog personal key", r"ph[sx]_(?=[a-z_]{0,50}[\dA-Z])\w{30,}", "phx_{alnum:47}", "trufflehog posthog"),
    TokenShape("PostHog project key", r"phc_(?=[a-z_]{0,50}[\dA-Z])\w{30,}", "phc_{alnum:43}", "PostHog documentation, project API key"),
    TokenShape("Databricks token", r"dapi[0-9a-f]{24,}(?:-\d)?\w*", "dapi{hex:32}", "gitleaks databricks-api-token"),
    TokenShape("Databricks OAuth secret", r"dose[0-9a-f]{32}(?![\w-])", "dose{hex:32}", "kingfisher databricks"),
    TokenShape("dbt Cloud token", r"dbt[cu]_[\w-]{24,}", "dbtu_{base64url:40}", "dbt documentation, service tokens"),
    TokenShape("Prefect API key", r"pn[bu]_[A-Za-z0-9]{27,}", "pnu_{alnum:36}", "gitleaks prefect-api-token"),
    TokenShape("PlanetScale API token", r"pscale_tkn_[\w=.-]{24,}", "pscale_tkn_{base64url:43}", "gitleaks planetscale-api-token"),
    TokenShape("PlanetScale OAuth token", r"pscale_oauth_[\w=.-]{24,}", "pscale_oauth_{base64url:43}", "gitleaks planetscale-oauth-token"),
    TokenShape("PlanetScale password", r"pscale_pw_[\w=.-]{24,}", "pscale_pw_{base64url:43}", "gitleaks planetscale-password"),
    TokenShape("Supabase access token", r"sbp_(?:oauth_|v0_)?[0-9a-z]{30,}", "sbp_{hex:40}", "trufflehog supabasetoken"),
    TokenShape("Supabase secret key", r"sb_secret_[\w-]{22,}", "sb_secret_{base64url:31}", "Supabase documentation, API keys"),
    TokenShape("Neon API key", r"napi_[a-z0-9]{48,}", "napi_{lower:64}", "Neon documentation, API keys"),
    TokenShape("Xata API key", r"xau_[A-Za-z0-9]{24,}", "xau_{alnum:32}", "Xata documentation, API keys"),
    TokenShape("Fauna secret", r"fnA[A-Za-z0-9_-]{36,}", "fnA{base64url:37}", "secrets-patterns-db FaunaDB"),
    TokenShape("MongoDB Atlas service account secret", r"mdb_sa_sk_[\w-]{30,}", "mdb_sa_sk_{base64url:6}{alnum:34}", "kingfisher mongodb"),
    TokenShape("CockroachDB API key", r"CCDB1_[A-Za-z0-9]{18,}_[A-Za-z0-9]{30,}", "CCDB1_{alnum:22}_{alnum:40}", "CockroachDB documentation, API access"),
    TokenShape("Aiven service password", r"AVNS_(?=[A-Z_-]{0,20}[a-z\d])[\w-]{15,}", "AVNS_{base64url:19}", "Aiven documentation, service users"),
    TokenShape("ClickHouse Cloud secret", r"4b1d(?=[0-9a-f]{0,37}[A-Zg-z])[A-Za-z0-9]{38}(?![\w-])", "4b1d{alnum:38}", "gitleaks clickhouse-cloud-api-secret-key"),
    TokenShape("FullStory API key", r"na1\.[A-Za-z0-9+/]{75,}=*", "na1.{base64:100}", "trufflehog fullstory"),
    TokenShape("Segment public API token", r"sgp_[A-Za-z0-9]{48,}", "sgp_{alnum:64}", "kingfisher segment"),
    TokenShape("LaunchDarkly API token", r"api-[0-9a-z]{8}-[0-9a-z]{4}-4[0-9a-z]{3}-[0-9a-z]{4}-[0-9a-z]{12}(?![\w-])", "api-{uuid}", "trufflehog launchdarkly"),
    TokenShape("LaunchDarkly SDK key", r"sdk-[0-9a-z]{8}-[0-9a-z]{4}-4[0-9a-z]{3}-[0-9a-z]{4}-[0-9a-z]{12}(?![\w-])", "sdk-{uuid}", "trufflehog launchdarkly"),
    TokenShape("Adafruit IO key", r"aio_[A-Za-z0-9]{22,}", "aio_{alnum:28}", "trufflehog adafruitio"),
    TokenShape("Ubidots key", r"BB(?:FF|US)-[0-9a-zA-Z]{22,}", "BBFF-{alnum:30}", "trufflehog ubidots"),
    TokenShape("Nightfall API key", r"NF-(?=[A-Za-z]{0,31}\d)[A-Za-z0-9]{32}(?![\w-])", "NF-{alnum:32}", "trufflehog nightfall"),
    TokenShape("MaxMind license key", r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk(?![A-Za-z0-9]{2})\w*", "{alnum:6}_{alnum:29}_mmk", "gitleaks maxmind-license-key"),
    TokenShape("Mapbox secret token", r"sk\.(?:eyJ)?(?=[A-Za-z.-]{0,60}\d)[A-Za-z0-9.-]{60,}[\w-]*", "sk.eyJ{alnum:80}.{base64url:22}", "trufflehog mapbox"),
    TokenShape("Mapbox token", r"pk\.(?=[A-Za-z]{0,60}\d)[A-Za-z0-9]{60,}\.[\w-]{20,}", "pk.eyJ{alnum:57}.{alnum:22}", "gitleaks mapbox-api-token"),
    TokenShape("LocationIQ token", r"pk\.(?=[A-Za-z]{0,31}\d)[0-9A-Za-z]{32}(?![\w-])", "pk.{hex:32}", "trufflehog locationiq"),
    TokenShape("Foursquare API key", r"fsq3[A-Za-z0-9+/]{40,}=*", "fsq3{base64:43}=", "Foursquare documentation, API keys"),
    # Office and identity
    TokenShape("1Password service account token", r"ops_ey[\w+/-]{60,}=*", "ops_eyJ{base64:300}==", "gitleaks 1password-service-account-token"),
    TokenShape("1Password secret key", r"A3-[0-9A-Z]{6}-(?:[0-9A-Z]{6}-[0-9A-Z]{5}|[0-9A-Z]{11})(?:-[0-9A-Z]{5}){3}", "A3-{base32:6}-{base32:6}-{base32:5}-{base32:5}-{base32:5}-{base32:5}", "gitleaks 1password-secret-key"),
    TokenShape("Okta API token", r"00(?=[A-Z\d_-]{0,39}[a-z])(?=[a-z\d_-]{0,39}[A-Z])[\w-]{40}(?![\w-])", "00{base64url:40}", "gitleaks okta-access-token"),
    TokenShape("Authress service client key", r"sc_[0-9a-zA-Z]{5,30}\.[0-9a-zA-Z]{4,6}\.acc[_-][0-9a-zA-Z-]{10,32}\.[\w+/=-]{24,}", "sc_{lower:12}.{lower:5}.acc_{lower:12}.{base64:60}", "gitleaks authress-service-client-access-key"),
    TokenShape("Authress service key", r"scauth_[0-9a-zA-Z]{5,30}\.[0-9a-zA-Z]{4,6}\.acc[_-][0-9a-zA-Z-]{10,32}\.[\w+/=-]{24,}", "scauth_{lower:12}.{lower:5}.acc_{lower:12}.{base64:60}", "gitleaks authress-service-client-access-key"),
    TokenShape("Authress extension key", r"ext_[0-9a-zA-Z]{5,30}\.[0-9a-zA-Z]{4,6}\.acc[_-][0-9a-zA-Z-]{10,32}\.[\w+/=-]{24,}", "ext_{lower:12}.{lower:5}.acc_{lower:12}.{base64:60}", "gitleaks authress-service-client-access-key"),
    TokenShape("Authress access key", r"authress_[0-9a-zA-Z]{5,30}\.[0-9a-zA-Z]{4,6}\.acc[_-][0-9a-zA-Z-]{10,32}\.[\w+/=-]{24,}", "authress_{lower:12}.{lower:5}.acc_{lower:12}.{base64:60}", "gitleaks authress-service-client-access-key"),
    TokenShape("Ory token", r"ory_(?:pat|at|rt|ac|st|wak)_[\w.-]{30,}", "ory_pat_{alnum:32}", "Ory documentation, API keys"),
    TokenShape("Stytch secret", r"secret-(?:live|test)-[\w=-]{30,}", "secret-live-{base64url:35}=", "Stytch documentation, API keys"),
    TokenShape("Onfido API token", r"api_(?:live|sandbox)(?:_[a-z]{2})?\.[\w-]{8,16}\.[\w-]{24,}", "api_live.{base64url:11}.{base64url:32}", "Onfido documentation, API tokens"),
    TokenShape("Salesforce access token", r"00[A-Za-z0-9]{13,16}![\w.]{70,}", "00D{alnum:12}!{alnum:96}", "trufflehog salesforce"),
    TokenShape("Salesforce refresh token", r"5AEP861[\w.=]{60,}", "5AEP861{alnum:80}", "trufflehog salesforcerefreshtoken"),
    TokenShape("HubSpot access token", r"pat-(?:eu|na|ap)\d-[0-9A-Za-z]{8}-[0-9A-Za-z-]{20,}", "pat-na1-{uuid}", "trufflehog hubspot_apikey"),
    TokenShape("Zoho token", r"1000\.[0-9a-f]{24,40}\.[0-9a-f]{24,}\w*", "1000.{hex:32}.{hex:32}", "trufflehog zohocrm"),
    TokenShape("Intercom access token", r"dG9rO[A-Za-z0-9+/]{40,}=*", "dG9rOj{base64:54}=", "Intercom documentation, access tokens"),
    TokenShape("Close API key", r"api_[A-Za-z0-9]{20,24}\.[A-Za-z0-9]{18,}", "api_{alnum:22}.{alnum:22}", "trufflehog closecrm"),
    TokenShape("Notion integration token", r"ntn_(?=[A-Za-z]{0,40}\d)[A-Za-z0-9]{34,}", "ntn_{digits:11}{alnum:35}", "gitleaks notion-api-token"),
    TokenShape("Notion legacy token", r"secret_[A-Za-z0-9]{43}(?![\w-])", "secret_{alnum:43}", "trufflehog notion"),
    TokenShape("Airtable personal access token", r"pat[A-Za-z0-9]{14}\.[0-9a-z]{48,}", "pat{alnum:14}.{hex:64}", "gitleaks airtable-personnal-access-token"),
    TokenShape("Airtable OAuth token", r"oaa[A-Za-z0-9]{10,20}\.v1\.[\w-]{10,100}\.[0-9a-f]{32,}\w*", "oaa{alnum:14}.v1.{base64url:30}.{hex:64}", "trufflehog airtableoauth"),
    TokenShape("Linear API key", r"lin_(?:api|oauth|wh)_(?=[a-z_]{0,60}[\dA-Z])\w{28,}", "lin_api_{alnum:40}", "gitleaks linear-api-key"),
    TokenShape("Asana personal access token", r"1/\d{10,20}:[0-9a-f]{32}\w*", "1/{digits:16}:{hex:32}", "Asana documentation, personal access tokens"),
    TokenShape("Asana scoped access token", r"2/\d{10,20}/\d{10,20}:[0-9a-f]{32}\w*", "2/{digits:16}/{digits:16}:{hex:32}", "Asana documentation, personal access tokens"),
    TokenShape("ClickUp personal token", r"pk_\d{6,10}_[0-9A-Z]{24,}", "pk_{digits:8}_{base32:32}", "trufflehog clickuppersonaltoken"),
    TokenShape("Klaviyo private key", r"pk_(?:[A-Za-z0-9]{6}_)?[0-9a-f]{34}\w?(?![\w-])", "pk_{hex:34}", "trufflehog klaviyo"),
    TokenShape("Courier authorization token", r"pk_prod_[0-9A-Z]{21,}", "pk_prod_{base32:28}", "Courier documentation, API keys"),
    TokenShape("BestTime private key", r"pri_[0-9a-f]{32}(?![\w-])", "pri_{hex:32}", "trufflehog besttime"),
    TokenShape("dfuse API key", r"web_(?=[a-z]{0,31}\d)[0-9a-z]{32}(?![\w-])", "web_{hex:32}", "trufflehog dfuse"),
    TokenShape("Finage API key", r"API_KEY(?=[A-Z]{0,31}\d)[0-9A-Z]{32}(?![\w-])", "API_KEY{base32:32}", "trufflehog finage"),
    TokenShape("Teamwork token", r"tkn\.v1_[0-9A-Za-z]{50,}=*", "tkn.v1_{alnum:71}=", "trufflehog teamworkdesk"),
    TokenShape("Figma token", r"fig(?:[dpour]|uh|oh|or|ur)_(?=[a-z_=-]{0,60}[\dA-Z])[\w=-]{30,}", "figd_{base64url:40}", "secretlint figma"),
    TokenShape("Typeform token", r"tfp_[\w.=-]{36,}", "tfp_{base64url:59}", "gitleaks typeform-api-token"),
    TokenShape("Contentful management token", r"CFPAT-[\w-]{32,}", "CFPAT-{base64url:43}", "trufflehog contentfulpersonalaccesstoken"),
    TokenShape("Sanity token", r"sk(?=[A-Za-z]{0,60}\d)(?=[a-z\d]{0,60}[A-Z])[A-Za-z0-9]{70,}(?![\w-])", "sk{alnum:79}", "trufflehog sanity"),
    TokenShape("Frame.io token", r"fio-u-(?=[a-z=_-]{0,60}[\dA-Z])[\w=-]{48,}", "fio-u-{base64url:64}", "gitleaks frameio-api-token"),
    TokenShape("Bannerbear API key", r"bb_(?:pr|ma)_[0-9a-f]{22,}\w*", "bb_pr_{hex:30}", "trufflehog bannerbear"),
    TokenShape("Adobe client secret", r"p8e-(?=[A-Za-z-]{0,40}\d)[0-9A-Za-z-]{28,}", "p8e-{alnum:32}", "gitleaks adobe-client-secret"),
    TokenShape("Dropbox access token", r"sl\.(?:u\.)?[\w=-]{100,}", "sl.{base64url:135}", "gitleaks dropbox-short-lived-api-token"),
    TokenShape("Facebook access token", r"EAA[A-Za-z0-9](?=[A-Za-z]{0,60}\d)[A-Za-z0-9]{70,}", "EAAC{alnum:140}", "gitleaks facebook-page-access-token"),
    TokenShape("Facebook app token", r"\d{15,16}[|%][\w-]{26,}", "{digits:15}|{alnum:27}", "gitleaks facebook-access-token"),
    TokenShape("Instagram access token", r"IG(?:Q|AA)[A-Za-z0-9](?=[A-Za-z_-]{0,60}\d)[\w-]{80,}", "IGQV{alnum:140}", "Instagram platform documentation, access tokens"),
    TokenShape("Twitter bearer token", r"AAAAAAAAAAAAAAAAAAAA(?=[A-Za-z%]{0,90}\d)[A-Za-z0-9%]{60,}", "AAAAAAAAAAAAAAAAAAAAAA{alnum:90}", "gitleaks twitter-bearer-token"),
    TokenShape("Intra42 client secret", r"s-s4t2(?:ud|af)-[0-9a-fA-F]{48,}\w*", "s-s4t2ud-{hex:64}", "gitleaks intra42-client-secret"),
    TokenShape("Intra42 client identifier", r"u-s4t2(?:ud|af)-[0-9a-fA-F]{48,}\w*", "u-s4t2ud-{hex:64}", "gitleaks intra42-client-secret"),
    TokenShape("SettleMint access token", r"sm_[aps]at_(?=[a-z]{0,30}[\dA-Z])[A-Za-z0-9]{12,}", "sm_sat_{alnum:16}", "gitleaks settlemint-service-access-token"),
    TokenShape("Ionic token", r"ion_(?=[a-z]{0,42}\d)[a-z0-9]{36,}", "ion_{lower:42}", "kingfisher ionic"),
    TokenShape("Webex bot token", r"[A-Za-z0-9]{64}_[A-Za-z0-9]{4}_[0-9a-f]{8}-[0-9a-f-]{20,}", "{alnum:64}_{alnum:4}_{uuid}", "trufflehog webexbot"),
    TokenShape("Portainer token", r"ptr_(?=[A-Za-z/_+=-]{0,40}\d)(?=[a-z\d/_+=-]{0,40}[A-Z])[\w/+=-]{20,}", "ptr_{base64:44}=", "trufflehog portainertoken"),
    TokenShape("Docker Swarm join token", r"SWMTKN-1-[0-9a-z]{36,}-[0-9a-z]{20,}", "SWMTKN-1-{lower:50}-{lower:25}", "Docker documentation, swarm join tokens"),
    TokenShape("K3s token", r"K10[0-9a-f]{64}::\w{1,60}:[\w.]{16,}", "K10{hex:64}::server:{hex:32}", "K3s documentation, tokens"),
    TokenShape("Rancher token", r"token-[a-z0-9]{5}:(?=[a-z]{0,60}\d)[a-z0-9]{54}(?![\w-])", "token-{lower:5}:{lower:53}7", "Rancher documentation, API tokens"),
    TokenShape("JumpCloud API key", r"jca_[A-Za-z0-9]{27,}", "jca_{alnum:36}", "JumpCloud documentation, API keys"),
    TokenShape("Infisical service token", r"st\.[0-9a-f]{24}\.[0-9a-f]{32}\.[0-9a-f]{32}\w*", "st.{hex:24}.{hex:32}.{hex:32}", "Infisical documentation, service tokens"),
    TokenShape("Inngest signing key", r"signkey-\w{2,20}-[0-9a-f]{32,}\w*", "signkey-prod-{hex:64}", "Inngest documentation, signing keys"),
    TokenShape("Trigger.dev key", r"tr_(?:prod|dev|stg|preview)_(?=[A-Za-z]{0,60}\d)[A-Za-z0-9]{16,}", "tr_prod_{alnum:23}7", "Trigger.dev documentation, API keys"),
    TokenShape("Retool token", r"retool_01[a-z0-9]{20,}", "retool_01{lower:24}", "Retool documentation, access tokens"),
    TokenShape("Socket API token", r"sktsec_[\w-]{30,}", "sktsec_{alnum:40}_api", "Socket documentation, API tokens"),
    TokenShape("Statsig secret key", r"secret-(?=[A-Za-z]{0,40}\d)(?=[a-z\d]{0,40}[A-Z])[A-Za-z0-9]{36,}", "secret-{alnum:40}", "Statsig documentation, server secret keys"),
    TokenShape("Flagsmith server key", r"ser\.(?=[A-Za-z]{0,21}\d)(?=[a-z\d]{0,21}[A-Z])[A-Za-z0-9]{22}(?![\w-])", "ser.{alnum:20}7A", "Flagsmith documentation, server-side environment keys"),
    TokenShape("Vanta token", r"vat_(?=[A-Za-z]{0,40}\d)(?=[a-z\d]{0,40}[A-Z])[A-Za-z0-9]{30,}", "vat_{alnum:40}", "Vanta documentation, API tokens"),
    TokenShape("Convex deploy key", r"prod:[a-z]{3,20}-[a-z]{3,20}-\d{1,4}\|[\w+/=-]{40,}", "prod:happy-otter-12|{base64:66}==", "Convex documentation, deploy keys"),
    TokenShape("Convex development key", r"dev:[a-z]{3,20}-[a-z]{3,20}-\d{1,4}\|[\w+/=-]{40,}", "dev:happy-otter-12|{base64:66}==", "Convex documentation, deploy keys"),
    TokenShape("Confluent secret", r"cflt(?=[A-Za-z+/]{0,60}\d)(?=[a-z\d+/]{0,60}[A-Z])[A-Za-z0-9+/]{56,}=*", "cflt{base64:60}", "Confluent documentation, API keys"),
    TokenShape("Modal token", r"as-(?=[A-Za-z]{0,21}\d)(?=[a-z\d]{0,21}[A-Z])[A-Za-z0-9]{22}(?![\w-])", "as-{alnum:20}7A", "Modal documentation, tokens"),
    TokenShape("ConfigCat SDK key", r"configcat-sdk-1/[\w-]{22}/[\w-]{22}", "configcat-sdk-1/{base64url:22}/{base64url:22}", "trufflehog configcat"),
    TokenShape("Elastic Cloud key", r"essu_[\w+/-]{40,}=*", "essu_{base64:80}", "Elastic documentation, API keys"),
    TokenShape("Datadog application key", r"ddapp_[A-Za-z0-9]{25,}", "ddapp_{alnum:34}", "Datadog documentation, application keys"),
    TokenShape("PagerDuty events key", r"pdus\+_[\w-]{20,}", "pdus+_0XBPWQQ_{alnum:36}", "PagerDuty documentation, API tokens"),
    TokenShape("PagerDuty API key", r"u\+(?=[A-Za-z_-]{0,17}\d)(?=[a-z\d_-]{0,17}[A-Z])[\w-]{18}(?![\w-])", "u+{alnum:18}", "trufflehog pagerdutyapikey"),
    TokenShape("UptimeRobot API key", r"u\d{6,9}-[0-9a-f]{24}(?![\w-])", "u{digits:7}-{hex:24}", "trufflehog uptimerobot"),
    TokenShape("UptimeRobot monitor key", r"m\d{6,10}-[0-9a-f]{24}(?![\w-])", "m{digits:9}-{hex:24}", "trufflehog uptimerobot"),
    TokenShape("LambdaTest access key", r"LT_(?=[A-Za-z]{0,60}\d)[A-Za-z0-9]{40,}", "LT_{alnum:47}", "trufflehog lambdatest"),
    TokenShape("Alchemy API key", r"alcht_[A-Za-z0-9]{22,}", "alcht_{alnum:30}", "trufflehog alchemy"),
    TokenShape("RapidAPI key", r"[0-9a-f]{10}msh[0-9a-f]{15}p1[0-9a-f]{5}jsn[0-9a-f]{12}", "{hex:10}msh{hex:15}p1{hex:5}jsn{hex:12}", "RapidAPI documentation, keys"),
    TokenShape("DeepL API key", r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}:fx(?![\w-])", "{uuid}:fx", "DeepL documentation, authentication"),
    TokenShape("Bitwarden access token", r"0\.[0-9a-f]{8}-[0-9a-f-]{27}\.[A-Za-z0-9]{30}:[\w+/=-]{20,}", "0.{uuid}.{alnum:30}:{base64:22}==", "Bitwarden Secrets Manager documentation, access tokens"),
    TokenShape("Ghost admin key", r"[0-9a-f]{24}:[0-9a-f]{64}(?![\w-])", "{hex:24}:{hex:64}", "Ghost documentation, admin API"),
    TokenShape("Snowflake session token", r"ver:\d-hint:\d{1,20}-[\w+/=-]{40,}", "ver:1-hint:{digits:12}-ETMsDgAAA{base64:120}", "Snowflake documentation, SQL API"),
    TokenShape("MailerSend token", r"mlsn\.[0-9a-f]{48,}\w*", "mlsn.{hex:64}", "trufflehog mailersend"),
    TokenShape("Matrix access token", r"syt_[\w+/=-]{2,400}_[A-Za-z0-9]{20}_\w{6}(?![\w-])", "syt_YW5u_{letters:20}_{alnum:6}", "Synapse, access tokens"),
    TokenShape("ntfy access token", r"tk_(?=[a-z]{0,29}\d)[a-z0-9]{29}(?![\w-])", "tk_{lower:28}7", "ntfy documentation, access tokens"),
    TokenShape("Pushbullet token", r"o\.(?=[A-Za-z]{0,31}\d)(?=[a-z\d]{0,31}[A-Z])[A-Za-z0-9]{32}(?![\w-])", "o.{alnum:32}", "trufflehog pushbulletapikey"),
    TokenShape("DingTalk signing secret", r"SEC[0-9a-f]{64}(?![\w-])", "SEC{hex:64}", "DingTalk documentation, custom robots"),
    TokenShape("VK access token", r"vk1\.a\.[\w-]{60,}", "vk1.a.{base64url:180}", "VK ID documentation"),
    TokenShape("T-Bank Invest token", r"t\.(?=[A-Za-z_-]{0,85}\d)[\w-]{86}(?![\w-])", "t.{base64url:86}", "T-Bank Invest documentation, tokens"),
    TokenShape("Pinterest token", r"pina_(?=[A-Za-z_-]{0,60}\d)[\w-]{40,}", "pina_{alnum:80}", "Pinterest documentation, authentication"),
    TokenShape("TikTok access token", r"act\.(?=[A-Za-z_-]{0,60}\d)[\w-]{48,}(?:!\w+(?:\.\w+)?)?", "act.{alnum:64}!4518.va", "TikTok documentation, user access tokens"),
    TokenShape("Extended private key", r"xprv[1-9A-HJ-NP-Za-km-z]{90,}", "xprv9s21ZrQH143K{base58:95}", "BIP 32"),
    TokenShape("Nostr private key", r"nsec1[02-9ac-hj-np-z]{58}", "nsec1{bech32:58}", "NIP-19"),
    TokenShape("Lichess token", r"lip_(?=[A-Za-z]{0,30}\d)[A-Za-z0-9]{16,}", "lip_{alnum:19}7", "Lichess documentation, API"),
    TokenShape("Canva access secret", r"cnvca(?=[A-Za-z_-]{0,51}\d)[\w-]{40,}", "cnvca{alnum:51}", "Canva documentation, Connect API"),
    TokenShape("Anyscale secret", r"esecret_(?=[a-z]{0,60}[\dA-Z])[A-Za-z0-9]{20,}", "esecret_{alnum:26}", "Anyscale documentation, API keys"),
    TokenShape("Cursor API key", r"key_[0-9a-f]{64}(?![\w-])", "key_{hex:64}", "Cursor documentation, API keys"),
    TokenShape("Chromatic token", r"chpt_(?=[a-z]{0,16}\d)[0-9a-z]{12,}", "chpt_{hex:14}7", "Chromatic documentation, tokens"),
    TokenShape("Zhipu API key", r"[0-9a-f]{32}\.(?=[A-Za-z]{0,30}\d)(?=[a-z\d]{0,30}[A-Z])(?:[A-Za-z0-9]{16}|[\w-]{24})(?![\w-])", "{hex:32}.{alnum:14}7A", "Zhipu documentation, API keys"),
    # Formats of several vendors
    TokenShape("JSON Web Token", r"eyJ[\w-]{4,}={0,2}\.[\w-]{4,}={0,2}(?:(?:\.[\w-]*){1,3}|\r?\n[\w-]{1,1000}\.[\w-]{20,})?", "eyJhbGciOiJIUzI1NiJ9.eyJ{base64url:80}.{base64url:43}", "gitleaks jwt"),
    TokenShape("JSON Web Token with blanks in its header", r"ewo[gi][\w-]{8,}={0,2}\.[\w-]{8,}={0,2}(?:\.[\w-]*){0,3}", "ewogIC{base64url:40}.ewogIC{base64url:80}.{base64url:43}", "trufflehog jwt"),
    TokenShape("JSON Web Token in any header", r"ey[A-Za-z0-9]{17,2000}\.ey(?:[\w./=-]|\\(?![nrtux\"'\s])){17,}", "eyI{alnum:40}.eyJ{base64url:80}.{base64url:43}", "gitleaks jwt"),
    TokenShape("JSON Web Token in Base64", r"ZXlK[\w+/-]{40,}=*", "ZXlKaGJHY2lPaU{base64:200}==", "gitleaks jwt-base64"),
    TokenShape("Base64 of a private key", r"LS0tLS1CRUdJTiB(?:SU0Eg|QUklWQVRF|FQyBQUklWQVRF|PUEVOU1NI|FTkNSWVBURUQg|EU0Eg)[\w+/-]{40,}=*", "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0t{base64:900}==", "kingfisher pem"),
    TokenShape("age secret key", r"AGE-SECRET-KEY-1[0-9A-Z]{44,}", "AGE-SECRET-KEY-1{base32:58}", "gitleaks age-secret-key"),
    TokenShape("bcrypt hash", r"\$2[abxy]\$\d\d\$[A-Za-z0-9./]{53}", "$2b$12${alnum:53}", "crypt(5)"),
    TokenShape("Argon2 hash", r"\$argon2(?:id|i|d)\$[\w=,$+/.-]{40,}", "$argon2id$v=19$m=65536,t=3,p=4${base64:22}${base64:43}", "Argon2 reference implementation, encoded hashes"),
    TokenShape("SHA-512 crypt hash", r"\$6\$(?:rounds=\d{1,9}\$)?[A-Za-z0-9./]{1,16}\$[A-Za-z0-9./]{60,}", "$6${alnum:16}${alnum:86}", "crypt(5)"),
    TokenShape("SHA-256 crypt hash", r"\$5\$(?:rounds=\d{1,9}\$)?[A-Za-z0-9./]{1,16}\$[A-Za-z0-9./]{30,}", "$5${alnum:16}${alnum:43}", "crypt(5)"),
    TokenShape("MD5 crypt hash", r"\$1\$(?:rounds=\d{1,9}\$)?[A-Za-z0-9./]{1,16}\$[A-Za-z0-9./]{22,}", "$1${alnum:8}${alnum:22}", "crypt(5)"),
    TokenShape("Apache MD5 hash", r"\$apr1\$[A-Za-z0-9./]{1,16}\$[A-Za-z0-9./]{22,}", "$apr1${alnum:8}${alnum:22}", "Apache documentation, password formats"),
    TokenShape("yescrypt hash", r"\$y\$[A-Za-z0-9./]{1,16}\$[A-Za-z0-9./]{1,86}\$[A-Za-z0-9./]{40,}", "$y$j9T${alnum:22}${alnum:43}", "crypt(5)"),
    TokenShape("Django password hash", r"pbkdf2_sha(?:1|256)\$\d{1,8}\$[A-Za-z0-9]{1,64}\$[A-Za-z0-9+/]{20,}=*", "pbkdf2_sha256$600000${alnum:22}${base64:43}=", "Django documentation, password management"),
)
# fmt: on

_ATOM = lazy_pattern(r"\\.|\[(?:\\.|[^\]\\])*\]|\(\?:[^()]*\)|[^()]")
"""A part of a pattern that matches a text of a fixed length, unless a quantifier follows it."""
_QUANTIFIERS = ("?", "*", "+", "{")
_TELLING = 4
"""The number of atoms from which the opening of a shape is rare enough that code can examine the rest."""
_ESCAPE = r"(?:(?<=%)[2-7][0-9A-Fa-f]|(?<=\\)(?:[nrt]|u00[0-9a-f]{2}|x[0-9a-f]{2})|)"
"""The end of an escape such as `%3D`, `\n` or `\u003d`: a token may begin behind it."""
MIN_TOKEN = 13
"""The length of the shortest token, which has no blanks, in characters."""
_RUN = r"[$%+./0-:=@-Z\\_a-z|~-]"
_MARGIN = 300
"""The number of characters behind the end of a search that may be needed to see that a token begins."""

Shape = tuple[list[str], str]
"""The atoms that a pattern begins with, and its rest."""


def _open(pattern: str) -> Shape:
    """Split a pattern into the atoms that it begins with and the rest."""
    atoms: list[str] = []
    position = 0
    while match := _ATOM.match(pattern, position):
        if pattern.startswith(_QUANTIFIERS, match.end()):
            break
        atoms.append(match[0])
        position = match.end()
    return atoms, pattern[position:]


def _alternatives(shapes: list[Shape]) -> str:
    """Return a pattern for the openings, in which they share their beginnings."""
    rests: dict[str, list[Shape]] = {}
    ends = []
    for atoms, rest in shapes:
        if atoms:
            rests.setdefault(atoms[0], []).append((atoms[1:], rest))
        else:
            ends.append(rest)
    if "" in ends:
        return ""
    branches = [atom + _alternatives(each) for atom, each in sorted(rests.items())] + [f"(?={end})" for end in ends]
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"


def _first_letter(pattern: str) -> str:
    """Return the letter that a pattern begins with, or an empty text if it begins with one of many."""
    literal = pattern[1:2] if pattern.startswith(("\\$", "\\.")) else pattern[:1]
    return "" if literal in ("[", "(", "\\") else literal


@cache
def _beginning() -> re.Pattern[str]:
    """Return the pattern that finds where a token may begin.

    Most words of a text are shorter than any token, and a boundary followed by a long run of the characters of tokens is
    rare. Only there are the openings compared, and for a short or common opening, the whole shape.
    """
    shapes = {}
    for pattern in {shape.pattern for shape in TOKEN_SHAPES if _first_letter(shape.pattern)}:
        atoms, rest = _open(pattern)
        shapes[pattern] = (atoms, "" if len(atoms) >= _TELLING else re.sub(r"(?<!\\)\((?!\?)", "(?:", rest))
    others = "|".join(dict.fromkeys(shape.pattern for shape in TOKEN_SHAPES if not _first_letter(shape.pattern)))
    openings = _alternatives(list(shapes.values()))
    boundary = rf"([^0-9A-Za-z_-](?=(?:[$\w-]|[.~][\w~]){_RUN}{{{MIN_TOKEN - 1}}}){_ESCAPE})"
    return re.compile(rf"{boundary}(?:{openings}|(?=[.~\w-]{{6}}{_RUN}{{24}})(?:{others}))", re.ASCII)


@cache
def _shapes(first: str) -> re.Pattern[str]:
    """Return the pattern of all tokens that begin with one letter, or, for an empty text, with one of many."""
    patterns = {shape.pattern for shape in TOKEN_SHAPES if _first_letter(shape.pattern) == first}
    # The most special shape comes first: it may be longer than what another takes for the whole token.
    ordered = sorted(patterns, key=lambda each: (-len(_open(each)[0]), -len(each), each))
    return re.compile("|".join(ordered) or "(?!)", re.ASCII)


def find_tokens(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield the spans of the tokens that begin between two positions, in their order.

    Args:
        text: The text.
        start: The position at which the first token may begin. The text before it tells whether one can begin there.
        end: The position before which the last token begins, even if it goes on behind; the end of the text by default.
    """
    search = _beginning().search
    # A blank in front spares the pattern an alternative for the beginning of a text, which would slow it by half.
    shift = 0 if start else 1
    text = " " * shift + text
    end = len(text) if end is None else end + shift
    position = max(start - len("\\u003d"), 0)
    while (found := search(text, position, end + _MARGIN)) and (begin := found.end(1)) < end:
        token = begin >= start and (_shapes(text[begin]).match(text, begin) or _shapes("").match(text, begin))
        if token:
            first, last = token.span(token.lastindex or 0)
            yield first - shift, last - shift
            position = token.end()
        else:
            position = found.start() + 1
