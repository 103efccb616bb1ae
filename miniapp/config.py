"""Every setting of the program: name, default, unit and one sentence. Environment first, then a TOML file.

``MINIAPP_<NAME>`` in the environment wins over the same name (lower case) in the file that ``MINIAPP_CONFIG`` names.
Faults are reported by the setting's name before anything starts.
"""

import os
import stat
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "MINIAPP_"


class SettingFault(Exception):
    """One or more settings are wrong; the text names each of them."""


class Config(BaseSettings):
    """The settings of one process, frozen."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    env: Literal["production", "demo", "test"] = Field(
        "production", description="部署环境；写入数据库，不一致时拒绝启动"
    )
    instance: str = Field("default", description="实例名；和环境一起写入数据库")
    database_url: str = Field(
        "sqlite:///var/miniapp.db", description="sqlite:////绝对路径 或 postgresql+psycopg://用户@主机/库"
    )
    data_dir: Path = Field(Path("var"), description="账单、发票文件等按内容存放的目录")
    public_base: str = Field("http://127.0.0.1:8000", description="外部访问本服务的地址，不带末尾斜杠")
    console_base: str = Field("", description="控制台的地址；空为同 public_base")
    trusted_hosts: str = Field("", description="允许的 Host，逗号分隔；空为由 public_base、console_base 得出")
    proxy_count: int = Field(0, ge=0, le=5, description="前面有几层受信代理，用于得到访客地址")
    master_key: SecretStr = Field(
        SecretStr(""), description="包裹密钥的主密钥，64 位十六进制；也可用 master_key_file"
    )
    master_key_file: Path | None = Field(None, description="存放主密钥的文件，权限须为 0400 或 0600")
    clock_file: Path | None = Field(None, description="偏移秒数文件；仅 demo 与 test")
    failpoints: str = Field("", description="故障点；仅 test")
    failpoints_seed: int = Field(0, description="随机故障点的种子")
    port: int = Field(8000, ge=0, le=65535, description="serve 监听的端口")
    bind: str = Field("127.0.0.1", description="serve 监听的地址")
    threads: int = Field(8, ge=2, le=64, description="每个进程的请求线程数")
    worker_threads: int = Field(4, ge=1, le=32, description="发件箱工作线程数")
    charge_threads: int = Field(8, ge=1, le=64, description="同时进行的付款码收款数")
    lease_seconds: int = Field(60, ge=5, description="一项工作被领取多久后可由别人接手，秒")
    verify_taxpayer_numbers: bool = Field(True, description="是否校验税号；商户测试环境可关闭")
    slip_days: int = Field(30, ge=1, description="小票二维码与领取码的有效期，天")
    session_idle_minutes: int = Field(30, ge=5, description="控制台无操作多久退出，分钟")
    customer_session_days: int = Field(30, ge=1, description="顾客页面登录保持，天")
    document_link_minutes: int = Field(15, ge=1, description="发票文件链接有效期，分钟")
    proof_max_age_minutes: int = Field(60, ge=0, description="开票前付款凭据超过多久须再向平台查询，分钟")
    cashier_remind_seconds: int = Field(60, ge=1, description="收银员未答复时的提醒，秒")
    cashier_next_seconds: int = Field(120, ge=1, description="转给下一位当班人员，秒")
    request_expire_hours: int = Field(72, ge=1, description="等待店员确认的申请多久过期，小时")
    bill_fetch_after: str = Field(
        "10:10", pattern=r"^\d\d:\d\d$", description="每天几点后取前一日账单（北京时间）"
    )
    bill_max_bytes: int = Field(512 * 1024 * 1024, ge=1024, description="解压后账单的最大字节数")
    wechat_js: str = Field("https://res.wx.qq.com/open/js/jweixin-1.6.0.js", description="微信 JS-SDK 的地址")
    outbound_connect_seconds: float = Field(1.0, gt=0, description="外呼连接时限，秒")
    outbound_read_seconds: float = Field(8.0, gt=0, description="外呼读取时限，秒")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="日志级别")

    @field_validator("public_base", "console_base")
    @classmethod
    def _no_trailing_slash(cls, value: str) -> str:
        if value.endswith("/"):
            raise ValueError("must not end with a slash")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("must begin with sqlite:/// or postgresql+psycopg://")
        return value

    @model_validator(mode="after")
    def _only_where_it_is_safe(self) -> "Config":
        if self.clock_file is not None and self.env not in ("demo", "test"):
            raise ValueError("clock_file is refused unless env is demo or test")
        if self.failpoints and self.env != "test":
            raise ValueError("failpoints is refused unless env is test")
        if self.env == "production" and not self.public_base.startswith("https://"):
            raise ValueError("public_base must be https:// where env is production")
        return self

    @cached_property
    def master_secret(self) -> bytes:
        """The 32 bytes that wrap every stored key. Raises SettingFault."""
        text = self.master_key.get_secret_value()
        if not text and self.master_key_file is not None:
            text = _read_private(self.master_key_file)
        if not text:
            raise SettingFault(f"{PREFIX}MASTER_KEY or {PREFIX}MASTER_KEY_FILE: one of the two must be given")
        try:
            secret = bytes.fromhex(text.strip())
        except ValueError:
            secret = b""
        if len(secret) != 32:
            raise SettingFault(f"{PREFIX}MASTER_KEY: 64 hexadecimal digits are needed")
        return secret

    @property
    def hosts(self) -> list[str]:
        """Host names that the web door answers to."""
        if self.trusted_hosts:
            return [host.strip() for host in self.trusted_hosts.split(",") if host.strip()]
        bases = [base for base in (self.public_base, self.console_base) if base]
        return sorted({base.split("://", 1)[1].split("/")[0].split(":")[0] for base in bases})

    @property
    def is_secure(self) -> bool:
        """True where browsers reach us by https, so that cookies are Secure."""
        return self.public_base.startswith("https://")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (env_settings, init_settings)

    @classmethod
    def load(cls) -> "Config":
        """Read the settings. Raises SettingFault with every faulty setting's name."""
        try:
            return cls(**_from_file())
        except ValidationError as error:
            raise SettingFault("\n".join(_sentence(fault) for fault in error.errors())) from error


def _from_file() -> dict[str, Any]:
    name = os.environ.get(f"{PREFIX}CONFIG")
    if not name:
        return {}
    try:
        table = tomllib.loads(Path(name).read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingFault(f"{PREFIX}CONFIG: {name}: {error}") from error
    unknown = set(table) - set(Config.model_fields)
    if unknown:
        raise SettingFault("\n".join(f"{name}: {key}: unknown setting" for key in sorted(unknown)))
    return table


def _sentence(fault: Any) -> str:
    where = "_".join(str(part) for part in fault["loc"])
    return f"{PREFIX}{where.upper()}: {fault['msg']}" if where else fault["msg"]


def _read_private(path: Path) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise SettingFault(f"{PREFIX}MASTER_KEY_FILE: {path} cannot be read") from error
    if mode & 0o077:
        raise SettingFault(
            f"{PREFIX}MASTER_KEY_FILE: {path} can be read by others (mode {mode:o}); chmod 0400"
        )
    return path.read_text("ascii")
