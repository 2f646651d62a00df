"""What a model of texts is compared with: TF-IDF of words and pairs, and logistic regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import Series
    from sklearn.pipeline import Pipeline

STRENGTHS = (1.0, 10.0, 100.0)


def text_baseline(
    texts: Series[str],
    labels: Series[str],
    held_out_texts: Series[str],
    held_out_labels: Series[str],
) -> tuple[Pipeline, float]:
    """Fit it with the inverse regularisation that is best on the held-out rows, and return that too."""
    made = {strength: _pipeline(strength).fit(texts, labels) for strength in STRENGTHS}
    best = max(
        STRENGTHS, key=lambda strength: made[strength].score(held_out_texts, held_out_labels)
    )
    return made[best], best


def _pipeline(strength: float) -> Pipeline:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    return make_pipeline(words, LogisticRegression(C=strength, max_iter=2000))
