"""The `data:` section: which data and version, what it must be, how it is changed and split."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from modelyard.spec.base import Section

Scalar = str | int | float | bool


class CheckSpec(Section):
    """One rule that the data must keep before anything is trained."""

    column: str | None = Field(
        default=None,
        description="The column that the rule is about; leave out for rules on the whole table.",
    )
    type: Literal["number", "integer", "text", "boolean", "image"] | None = Field(
        default=None,
        description="What every value must be; image also opens each file and finds truncated ones.",
    )
    not_null: bool = Field(default=False, description="No value may be missing.")
    unique: bool = Field(default=False, description="No value may occur twice.")
    one_of: tuple[Scalar, ...] | None = Field(default=None, description="The only values allowed.")
    minimum: float | None = Field(
        default=None, alias="min", description="The smallest value allowed."
    )
    maximum: float | None = Field(
        default=None, alias="max", description="The largest value allowed."
    )
    matches: str | None = Field(
        default=None, description="A regular expression that every value must match as a whole."
    )
    min_class_share: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="The rarest value of the column must have at least this share of the rows.",
    )
    max_duplicate_rows: int | None = Field(
        default=None,
        ge=0,
        description="How many rows may repeat an earlier row (whole-table rule).",
    )
    min_rows: int | None = Field(
        default=None,
        ge=1,
        description="How many rows the table must have at least (whole-table rule).",
    )
    leakage: Literal["refuse", "allow"] | None = Field(
        default=None,
        description="Whether the same sample may stand in two splits (whole-table rule; refuse unless said otherwise).",
    )

    @model_validator(mode="after")
    def _column_rules_need_a_column(self) -> Self:
        table_rules = {"max_duplicate_rows", "min_rows", "leakage"}
        given = {
            name
            for name in self.model_fields_set - {"column"}
            if getattr(self, name) is not None and getattr(self, name) is not False
        }
        if not given:
            message = "a check needs at least one rule, such as not_null: true"
            raise ValueError(message)
        if self.column is None and given - table_rules:
            message = f"{min(given - table_rules)} needs a column"
            raise ValueError(message)
        if self.column is not None and given & table_rules:
            message = f"{min(given & table_rules)} is about the whole table; take the column away"
            raise ValueError(message)
        return self


class DropMissing(Section):
    """Drop rows with missing values."""

    kind: Literal["drop_missing"] = Field(description="drop_missing")
    columns: tuple[str, ...] | None = Field(
        default=None, description="Look only at these columns; all columns unless given."
    )


class FillMissing(Section):
    """Fill missing values of one column."""

    kind: Literal["fill_missing"] = Field(description="fill_missing")
    column: str = Field(description="The column to fill.")
    value: Scalar | None = Field(default=None, description="A fixed value.")
    strategy: Literal["mean", "median", "most_frequent"] | None = Field(
        default=None, description="A value computed from the column."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.value is None) == (self.strategy is None):
            message = "give either value or strategy"
            raise ValueError(message)
        return self


class Clip(Section):
    """Limit a number column to a range."""

    kind: Literal["clip"] = Field(description="clip")
    column: str = Field(description="The column to limit.")
    minimum: float | None = Field(
        default=None, alias="min", description="Smaller values become this."
    )
    maximum: float | None = Field(
        default=None, alias="max", description="Larger values become this."
    )

    @model_validator(mode="after")
    def _a_limit(self) -> Self:
        if self.minimum is None and self.maximum is None:
            message = "give min, max or both"
            raise ValueError(message)
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            message = f"min {self.minimum:g} is above max {self.maximum:g}"
            raise ValueError(message)
        return self


class Rename(Section):
    """Rename columns."""

    kind: Literal["rename"] = Field(description="rename")
    columns: dict[str, str] = Field(min_length=1, description="Old name to new name.")


class DropColumns(Section):
    """Drop columns."""

    kind: Literal["drop_columns"] = Field(description="drop_columns")
    columns: tuple[str, ...] = Field(min_length=1, description="The columns to drop.")


class DropDuplicates(Section):
    """Drop rows that repeat an earlier row."""

    kind: Literal["drop_duplicates"] = Field(description="drop_duplicates")
    columns: tuple[str, ...] | None = Field(
        default=None, description="Compare only these columns; all columns unless given."
    )


class ExtractTiff(Section):
    """Write the pages of a multi-page TIFF, and of its masks, as one image file a page."""

    kind: Literal["extract_tiff"] = Field(description="extract_tiff")
    images: str = Field(description="The TIFF of images, relative to data.path.")
    masks: str | None = Field(
        default=None, description="The TIFF of masks, page for page, relative to data.path."
    )
    image_column: str = Field(default="image", description="The column for the image files.")
    mask_column: str = Field(default="mask", description="The column for the mask files.")
    mask_values: Literal["binary", "classes"] = Field(
        default="binary",
        description="What a mask's values mean: binary makes every value but 0 the same object; classes keeps them (0 to 255).",
    )
    block: int = Field(
        default=10,
        ge=1,
        description="Neighbouring pages in one block; the column `block` is for data.split.blocks_of.",
    )


TransformSpec = Annotated[
    DropMissing | FillMissing | Clip | Rename | DropColumns | DropDuplicates | ExtractTiff,
    Field(discriminator="kind"),
]


class SplitSpec(Section):
    """How rows are divided into training, validation and test."""

    fractions: tuple[float, float, float] = Field(
        default=(0.7, 0.1, 0.2),
        description="Shares of training, validation and test; they add up to 1.",
    )
    seed: int = Field(
        default=42, ge=0, description="The same seed gives the same rows on every machine."
    )
    stratify: str | None = Field(
        default=None, description="Keep the shares of this column's values in each split."
    )
    column: str | None = Field(
        default=None,
        description="Take the split from this column: train, validation, test (or 0, 1, 2).",
    )
    group: str | None = Field(
        default=None, description="Rows with the same value in this column stay together."
    )
    blocks_of: str | None = Field(
        default=None,
        description="As group, and the groups are taken in their order in the table, so that neighbours in time or space stay together.",
    )

    @model_validator(mode="after")
    def _one_way_and_shares(self) -> Self:
        ways = [
            way
            for way in ("stratify", "column", "group", "blocks_of")
            if getattr(self, way) is not None
        ]
        if len(ways) > 1:
            message = f"give one of {', '.join(ways)}, not several"
            raise ValueError(message)
        if abs(sum(self.fractions) - 1) > 1e-6 or min(self.fractions) < 0 or self.fractions[0] == 0:  # noqa: PLR2004 - rounding
            message = f"fractions must be three shares that add up to 1, with some training data; these add up to {sum(self.fractions):g}"
            raise ValueError(message)
        return self


class DataSpec(Section):
    """Which data, at which version, and what becomes of it before training."""

    path: str = Field(
        min_length=1, description="A DVC-tracked file or folder, relative to the project."
    )
    revision: str | None = Field(
        default=None,
        description="Any git revision; null is the work tree. The run records the hash that it resolved to.",
    )
    table: str | None = Field(
        default=None,
        description="The table inside the folder, one row a sample (CSV or Parquet); leave out if path is the table itself.",
    )
    checks: tuple[CheckSpec, ...] = Field(
        default=(), description="Rules that must hold before anything is trained."
    )
    transform: tuple[TransformSpec, ...] = Field(
        default=(), description="Changes to the table, in this order."
    )
    split: SplitSpec = Field(
        default_factory=SplitSpec,
        description="How rows are divided into training, validation and test.",
    )
