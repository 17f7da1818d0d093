"""Models trained on processes and threads, and saved."""

import joblib
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_regression
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

x, y = load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(x, y, random_state=0)
forest = RandomForestClassifier(30, n_jobs=2, random_state=0).fit(train_x, train_y)
assert forest.score(test_x, test_y) > 0.9
assert HistGradientBoostingClassifier(max_iter=5).fit(train_x, train_y).score(test_x, test_y) > 0.7
pipeline = make_pipeline(StandardScaler(), PCA(20), LogisticRegression(max_iter=300))
assert cross_val_score(pipeline, x[:600], y[:600], cv=2, n_jobs=2).min() > 0.7
search = GridSearchCV(KMeans(n_init=1, random_state=0), {"n_clusters": [2, 10]}, cv=2).fit(x[:300])
assert search.best_params_["n_clusters"] == 10
joblib.dump(forest, "forest.joblib", compress=3)
assert (joblib.load("forest.joblib").predict(test_x) == forest.predict(test_x)).all()
assert LinearRegression(n_jobs=2).fit(*make_regression(200, 5, noise=0)).coef_.shape == (5,)
print("ok")
