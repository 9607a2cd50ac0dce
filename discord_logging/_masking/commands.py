"""A secret stands in a command line, where an option such as `-p` has a meaning for one program alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from discord_logging._masking.harmless import is_harmless
from discord_logging._masking.spans import line_end, line_start, looks_random
from discord_logging._text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from discord_logging._masking.spans import Found


@dataclass(frozen=True)
class Command:
    """A way in which a program takes a secret.

    Attributes:
        programs: A pattern for the names of programs that take it so, in lower case, with their subcommand if it
            matters.
        argument: A pattern for what precedes the secret, and in its one group, the secret.
        example: A command line with `SECRET` for the secret.
        source: The documentation of the option.
    """

    programs: str
    argument: str
    example: str
    source: str

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The compiled pattern of the argument."""
        return re.compile(self.argument)


@dataclass(frozen=True)
class Program(Command):
    """A program that takes a secret without an option, or a phrase behind which one stands.

    Its argument begins at the end of the name.

    Attributes:
        sign: A character that a text with such a secret contains; `""` stands for no telling one.
        literal: A part of the name, by which a text without the program is told.
        is_sure: Whether any value is a secret; else it must look random.
    """

    sign: str = ""
    literal: str = ""
    is_sure: bool = True


_GAP = r"(?:[ \t]+|=|[\"'],[ \t]*[\"'])"
"""Stands between an option and its argument, also in the repr of a list."""
_VALUE = r"((?<=[\"'])[^\"']+(?:(?:'\\''|\"'|'\")[^\s\"',]+){0,5}|[^\s\"',]+(?:[\"'][^\s\"',]+[\"']?){0,3})"
"""Stands for the argument. A shell joins quoted parts that touch: `'a'\\''b'`, `"a"'b'`."""
_STRING = r"(?:\"[^\"\n]{0,200}\"|'[^'\n]{0,200}')"
_USER = r"[^\s:\"']{0,100}:"
_LOGIN = rf"{_GAP}(?:[\w-]{{1,20}}{_GAP})?login\b[^\n]{{0,300}}?"
"""Stands between a program such as `docker` and the options of its subcommand."""


_CALL = rf"\([ \t]*(?:\w{{1,20}}=)?(?:{_STRING}|[\w.]{{1,60}}),[ \t]*(?:\w{{1,20}}=)?[bB]?[\"']([^\"'\n]+)[\"']"
_SLASH = rf"[^\n]{{0,200}}?[ \t]/(?:p|rp|pw|pass|password)[: ][\"']?{_VALUE}"


def _option(names: str, *, user: str = "") -> str:
    return rf"(?<![\w-])(?:{names}){_GAP}[\"']?{user}{_VALUE}"


def _glued(names: str, *, user: str = "") -> str:
    return rf"(?<![\w-])(?:{names})[\"']?{user}{_VALUE}"


COMMANDS = (
    Command(
        "curl|etcdctl",
        _glued(rf"(?:-[a-zA-Z]{{0,6}}[uU]|--(?:proxy-)?user)(?:{_GAP})?", user=_USER),
        "curl -sSuann:SECRET https://host",
        "curl(1)",
    ),
    Command(
        "curl",
        rf"(?<![\w-])-[a-zA-Z]{{0,6}}u{_GAP}[\"']?([\w.-]{{16,}}):(?=[\s\"']|$)",
        "curl -u SECRET: https://host",
        "https://docs.stripe.com/api/authentication",
    ),
    Command(
        r"mysql\w*|mariadb[\w-]*|mycli|percona-\w+|pt-[\w-]+|xtrabackup",
        _glued("-p"),
        "mysql -uroot -pSECRET shop",
        "https://dev.mysql.com/doc/refman/8.4/en/connecting.html",
    ),
    Command(
        "docker|podman|nerdctl|buildah|helm|oras|crane|skopeo|az|oc|cf|ibmcloud|doctl",
        _LOGIN + _option("-p"),
        "docker login -u ann -p SECRET host",
        "https://docs.docker.com/reference/cli/docker/login",
    ),
    Command(r"mongo\w*", _option("-p"), "mongosh -u ann -p SECRET db", "https://www.mongodb.com/docs/mongodb-shell"),
    Command("sshpass", rf"(?<![\w-])-p(?:{_GAP})?[\"']?{_VALUE}", "sshpass -p SECRET ssh host", "sshpass(1)"),
    Command(r"ldap\w+", _option("-w|-s"), "ldapsearch -D cn=x -w SECRET", "ldapsearch(1)"),
    Command(
        "zip|unzip|ssh-keygen|sqlcmd|bcp|isql|osql|tsql|mosquitto_\\w+|ipmi\\w+|kadmin|fossil",
        rf"(?<![\w-])-[PN](?:{_GAP})?[\"']?{_VALUE}",
        "zip -P SECRET a.zip b",
        "zip(1)",
    ),
    Command(
        "7z\\w?|rar|unrar",
        _glued("-p|-hp"),
        "7z x -pSECRET a.7z",
        "https://7-zip.opensource.jp/chm/cmdline/switches/set_password.htm",
    ),
    Command(
        "redis-cli|redis-benchmark|valkey-cli",
        _option("-a|--pass"),
        "redis-cli -a SECRET ping",
        "https://redis.io/docs/latest/develop/tools/cli",
    ),
    Command(
        "smbclient|rpcclient|net|smbget|smbmap|mount",
        _option("-U|--user", user=r"[^\s%\"']{1,100}%"),
        "smbclient -U ann%SECRET //host/x",
        "smbclient(1)",
    ),
    Command("lftp|ncftp\\w*", _option("-u", user=r"[^\s,\"']{1,100},"), "lftp -u ann,SECRET host", "lftp(1)"),
    Command(
        "https?|httpie|xh|xhs|ab|wrk|siege",
        _option("-a|--auth|-A|-P", user=rf"(?:{_USER})?"),
        "http -a ann:SECRET host",
        "https://httpie.io/docs/cli/auth",
    ),
    Command(r"snmp\w+", _option("-A|-X|-c"), "snmpwalk -v2c -c SECRET host", "snmpcmd(1)"),
    Command(
        "cqlsh|useradd|usermod|evil-winrm|nxc|crackmapexec|hydra|rdesktop|ncftp\\w*|sshuttle|psexec\\w*|snowsql|nuget|mc|vncdo|exp|imp|kinit|teamcity|impala-shell|beeline|pgcli|arangosh|neo4j|cypher-shell|rabbitmqadmin|yt-dlp|youtube-dl|amqp-\\w+|racadm|altool",
        _option("-p"),
        "cqlsh -u ann -p SECRET host",
        "https://cassandra.apache.org/doc/latest/cassandra/managing/tools/cqlsh.html",
    ),
    Command("putty|plink|pscp|psftp", _option("-pw"), "plink -pw SECRET ann@host", "plink(1)"),
    Command("swaks|sendemail", _option("-ap|-xp|--auth-password"), "swaks -au ann -ap SECRET", "swaks(1)"),
    Command(
        "openssl|gem|gpg|ansible-vault|age|cryptsetup",
        _option("-k|-K|-passin|-passout|-pass|-hmac|-macopt", user="(?:pass:|hexkey:)?"),
        "openssl enc -k SECRET",
        "openssl-enc(1)",
    ),
    Command(
        "htpasswd|mosquitto_passwd",
        rf"-\w*b\w*(?:{_GAP}[^\s\"',]+){{2}}{_GAP}{_VALUE}",
        "htpasswd -b file ann SECRET",
        "htpasswd(1)",
    ),
    Command(
        "aws|az",
        rf"(?:put-parameter|keyvault secret set)\b[^\n]{{0,150}}?--value{_GAP}[\"']?{_VALUE}",
        "aws ssm put-parameter --type SecureString --value SECRET",
        "https://docs.aws.amazon.com/cli/latest/reference/ssm/put-parameter.html",
    ),
    Command(
        "security",
        rf"(?:[ \t]|[\"'],[ \t]*[\"'])(?:(?:unlock|create|import|set)\S{{0,30}}|add-\w{{1,10}}-password)(?=[\s\"'])"
        rf"[^\n]{{0,150}}?[ \t\"']-[pwP]{_GAP}[\"']?{_VALUE}",
        "security unlock-keychain -p SECRET login.keychain",
        "security(1)",
    ),
    Command(
        "kubeadm",
        _option("--certificate-key"),
        "kubeadm join host --certificate-key SECRET",
        "https://kubernetes.io/docs",
    ),
    Command(
        "drone",
        _option("--data"),
        "drone secret add --data SECRET",
        "https://docs.drone.io/cli/secret/drone-secret-add",
    ),
    Command(
        "sonar-scanner\\S*|mvnw?|gradlew?",
        rf"(?<![\w-])-Dsonar\.login=[\"']?{_VALUE}",
        "sonar-scanner -Dsonar.login=SECRET",
        "SonarQube documentation, analysis parameters",
    ),
    Command(
        "twine|snyk|sentry-cli|circleci|codecov|doctl",
        _option("-t|--token|-p|-P"),
        "twine upload -p SECRET dist",
        "https://twine.readthedocs.io",
    ),
)
"""The programs whose option takes a secret."""

PROGRAMS = (
    Program(
        "xfreerdp|wfreerdp|mstsc|msdeploy|runas|winrs|net user|cmdkey|signtool sign",
        _SLASH,
        "xfreerdp /u:ann /p:SECRET",
        "xfreerdp(1)",
        sign="/",
        literal="/p",
    ),
    Program(
        "schtasks(?:\\.exe)?",
        _SLASH,
        "schtasks /create /ru ann /rp SECRET /tn x",
        "https://learn.microsoft.com/windows-server/administration/windows-commands/schtasks-create",
        sign="/",
        literal="schtasks",
    ),
    Program(
        "echo",
        rf"(?:[ \t]+-\w+)?[ \t]+[\"']?(?:{_USER}(?=[^|]*\|[ \t]*(?:sudo )?chpasswd))?"
        rf"{_VALUE}[\"']?[ \t]*\|[^|\n]{{1,60}}"
        r"(?:sudo[ \t]+-\w*S|--?password-stdin|--with-token|--stdin|chpasswd|passwd)",
        "echo SECRET | docker login --password-stdin",
        "https://docs.docker.com/reference/cli/docker/login",
        sign="|",
        literal="echo ",
    ),
    Program(
        "net user",
        r"[ \t]+[^\s/]+[ \t]+([^\s/*]\S*)",
        "net user ann SECRET /add",
        "https://learn.microsoft.com/windows-server/administration/windows-commands/net-user",
        literal="net user",
    ),
    Program(
        "rabbitmqctl",
        r"[ \t]+(?:add_user|change_password|authenticate_user)[ \t]+\S+[ \t]+" + _VALUE,
        "rabbitmqctl add_user ann SECRET",
        "rabbitmqctl(8)",
        sign="_",
        literal="rabbitmqctl",
    ),
    Program(
        "sqlplus|sqlldr",
        r"(?:[ \t]+-\w+)*[ \t]+(?:userid=)?[\w.-]+/([^\s@\"']+)",
        "sqlplus ann/SECRET@host",
        "https://docs.oracle.com/en/database/oracle/oracle-database/19/sqpug",
        sign="/",
        literal="sql",
    ),
    Program(
        "(?:composer|poetry) config",
        r"[ \t]+(?:\S*http-basic\S+[ \t]+\S+|pypi-token\S+)[ \t]+" + _VALUE,
        "composer config http-basic.x ann SECRET",
        "https://getcomposer.org/doc/articles/authentication-for-private-packages.md",
        sign="-",
        literal="config ",
    ),
    Program(
        "bundle config",
        r"[ \t]+(?:set )?(?:--\w+ )?\S+[ \t]+[^\s:]+:" + _VALUE,
        "bundle config gems.x ann:SECRET",
        "bundle-config(1)",
        sign=":",
        literal="config ",
    ),
    Program(
        "snmp-server community",
        r"[ \t]+" + _VALUE,
        "snmp-server community SECRET RO",
        "Cisco IOS documentation, snmp-server community",
        sign="-",
        literal="snmp-",
    ),
    Program(
        "wpa_passphrase",
        r"[ \t]\S+[ \t]+" + _VALUE,
        "wpa_passphrase home SECRET",
        "wpa_passphrase(8)",
        sign="_",
        literal="wpa_",
    ),
    Program(
        "net use",
        r"(?:[ \t]+\w:)?[ \t]+\\\\\S+(?:[ \t]+/\S{1,60}){0,3}[ \t]+(?![/*])" + _VALUE,
        r"net use \\host\share SECRET /user:ann",
        "https://learn.microsoft.com/windows-server/administration/windows-commands/net-use",
        sign="\\",
        literal="net use",
    ),
    Program(
        "vault (?:login|operator unseal)",
        r"[ \t]+(?:token=)?([^\s=\"'-][^\s=\"']{7,})",
        "vault login SECRET",
        "https://developer.hashicorp.com/vault/docs/commands/login",
        literal="vault ",
    ),
    Program(
        "cargo login",
        r"[ \t]+([^\s=\"'-][^\s=\"']{7,})",
        "cargo login SECRET",
        "https://doc.rust-lang.org/cargo/commands/cargo-login.html",
        sign="login",
        literal="cargo login",
    ),
    Program(
        "acl setuser",
        r"[ \t]+\S+[^\n>]{0,300}?[ \t]>([^\s\"']+)",
        "ACL SETUSER ann on >SECRET ~* +@all",
        "https://redis.io/docs/latest/commands/acl-setuser",
        sign=">",
        literal="acl setuser",
    ),
    Program(
        "nickserv",
        r"[ \t]+:?(?i:identify|register)[ \t]+([^\s\"']+)",
        "PRIVMSG NickServ :IDENTIFY SECRET",
        "Anope documentation, NickServ",
        sign=":",
        literal="nickserv",
    ),
    Program(
        "key content",
        r"[ \t]*:[ \t]*(\S+)",
        "Key Content            : SECRET",
        "https://learn.microsoft.com/windows-server/networking/technologies/netsh/netsh-wlan",
        sign=":",
        literal="key content",
    ),
    Program(
        "::add-mask",
        r"::([^\s\"']+)",
        "::add-mask::SECRET",
        "https://docs.github.com/actions/reference/workflow-commands-for-github-actions",
        sign=":",
        literal="::add-mask::",
    ),
    Program(
        "duplicate entry",
        r"[ \t]+'([^'\n]{1,200})' for key '(?i:[^'\n]{0,60}(?:token|secret|password|api_?key|session))",
        "Duplicate entry 'SECRET' for key 'users.api_token'",
        "https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html",
        sign="'",
        literal="duplicate entry '",
    ),
    Program(
        "mc alias set|mc config host add",
        r"[ \t]+\S+[ \t]+\S+[ \t]+\S+[ \t]+" + _VALUE,
        "mc alias set a http://host key SECRET",
        "https://min.io/docs/minio/linux/reference/minio-mc/mc-alias-set.html",
        sign=":",
        literal="mc ",
    ),
    Program(
        "identified",
        r"[ \t]+(?i:with[ \t]+\S+[ \t]+)?(?i:by|as)[ \t]+(?:password[ \t]+|values[ \t]+)?[\"']?" + _VALUE,
        "CREATE USER ann IDENTIFIED BY 'SECRET'",
        "https://dev.mysql.com/doc/refman/8.4/en/create-user.html",
        literal="identified ",
    ),
    Program(
        "simple_bind(?:_s)?|bind_s",
        _CALL,
        "conn.simple_bind_s('cn=ann,dc=x', 'SECRET')",
        "https://www.python-ldap.org/en/latest/reference/ldap.html",
        sign="(",
        literal="bind",
    ),
    Program(
        "login",
        _CALL,
        "smtp.login('ann', 'SECRET')",
        "https://docs.python.org/3/library/smtplib.html",
        sign="(",
        literal="login(",
    ),
    Program(
        "auth",
        _CALL,
        "HTTPBasicAuth('ann', 'SECRET')",
        "https://requests.readthedocs.io/en/latest/user/authentication",
        sign="(",
        literal="auth(",
    ),
    Program(
        " login",
        # Behind the tag of a command, or with a value of digits and capitals
        rf"(?:(?<=\w\d LOGIN)|(?<=LOGIN)(?=\s+\S+\s+\S{{0,60}}(?:\d\S{{0,60}}[A-Z]|[A-Z]\S{{0,60}}\d)))"
        rf"[ \t]+(?:{_STRING}|[^\s\"']{{1,60}})[ \t]+[\"']?{_VALUE}",
        "C: A001 LOGIN ann SECRET",
        "RFC 9051, 6.2.3",
        sign="login",
        literal=" login ",
    ),
    Program(
        " failed",
        r"(?<=[nN] failed)(?:[ \t]+for[ \t]+(?:user[ \t]+)?\S{1,60}[ \t]+with|:)[ \t]+[\"']?"
        # A server asks for `Password:` and `Username:` in Base64.
        r"(?!UGFzc3dvcmQ6|VXNlcm5hbWU6)" + _VALUE,
        "535 5.7.8 Error: authentication failed: SECRET",
        "Postfix, smtpd_sasl_glue.c",
        literal="n failed",
        is_sure=False,
    ),
)
"""The programs that take a secret without an option."""


_WORD = lazy_pattern(r"(?<![\w.-])[A-Za-z0-9][\w.-]*(?=[\s\"'])")
_BEFORE_OPTION = " \t\"'-"
_LOOK_BACK = 200
"""The distance from a program to the first of its options that matters, in characters."""


def find_in_commands(text: str, match: re.Match[str], found: Found) -> int:
    """Find the secrets of the command whose first option was found; return where its line ends."""
    option = match.start()
    if text[max(option - 1, 0)] not in _BEFORE_OPTION:
        return match.end()
    start = max(line_start(text, option), option - _LOOK_BACK, found.examined)
    end = line_end(text, option)
    seen: set[str] = set()
    for word in _WORD.finditer(text, start, end):
        name = word[0].lower()
        if name not in seen:
            seen.add(name)
            for argument in _arguments(name):
                secrets = [each.span(1) for each in argument.finditer(text, word.end(), end)]
                found += [span for span in secrets if not is_harmless(text, span[0], "", "=")]
    found.examined = end
    return end


@lru_cache(5_000)
def _arguments(word: str) -> list[re.Pattern[str]]:
    """Return the patterns for the secrets that follow a word if that is the name of a program."""
    name = word.removesuffix(".exe")
    return [each.pattern for each in COMMANDS if re.fullmatch(each.programs, name)]


def find_after_program(program: Program, text: str, match: re.Match[str], found: Found) -> int:
    """Find the secret that stands behind the name of a program, without an option."""
    end = min(line_end(text, match.end()), match.end() + _LOOK_BACK)
    secret = program.pattern.match(text, match.end(), end)
    if not secret or is_harmless(text, secret.start(1), "", "=") or not (program.is_sure or looks_random(secret[1])):
        return match.end()
    return found.add(*secret.span(1))
